//! Which snapshots retention keeps.

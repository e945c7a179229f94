//! Backups that are proven, restores that are rehearsed: PostgreSQL and SQLite.
//!
//! The rooms, lowest floor first; a room imports only from lower floors
//! (`tests/architecture.rs` holds that, `ARCHITECTURE.md` explains it).

pub mod model;

pub mod blocking;
pub mod codec;
pub mod config;
pub mod report;

pub mod engine;
pub mod repo;

pub mod ops;

pub mod cli;

//! The engine from end to end, its outcomes looked at from outside through `sqlite3`.

mod absent;
mod damage;
mod features;
mod live;
mod replacing;
mod stage;
mod writers;

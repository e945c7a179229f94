//! Places that a load may fill. Only an engine that proved a place fit makes one.

/// A place where nothing was, or only an empty database.
#[derive(Debug)]
pub struct Fresh(());

/// A live database whose owner agreed that it be replaced.
#[derive(Debug)]
pub struct Replace(());

/// Where a load goes.
#[derive(Debug)]
pub enum Target {
    /// Nothing was there.
    Fresh(Fresh),
    /// A live database, replaced as a whole.
    Replace(Replace),
}

/// The owner's word that a live database may be replaced: asked for on a terminal, or given by `--yes`.
#[derive(Debug)]
pub struct Confirmed(());

impl Confirmed {
    /// Said by whoever asked the owner.
    #[must_use]
    pub const fn by_owner() -> Self {
        Self(())
    }
}

impl Fresh {
    pub(in crate::engine) const fn proven() -> Self {
        Self(())
    }
}

impl Replace {
    pub(in crate::engine) fn proven(Confirmed(()): Confirmed) -> Self {
        Self(())
    }
}

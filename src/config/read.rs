//! The tables of a configuration file, each into its type.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use toml::de::DeTable;

use super::error::ConfigError;
use super::keys;
use super::section::{Entry, Section, Source};
use super::url::DatabaseUrl;
use super::{Config, DatabaseConfig};
use crate::model::manifest::CheckDepth;
use crate::model::names::DatabaseName;
use crate::model::retention::Policy;

pub(super) fn config(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> Result<Config, ConfigError> {
    let source = Source { text, environment };
    let document = DeTable::parse(text).map_err(|error| {
        let (line, column) = source.place(error.span().map_or(0, |span| span.start));
        ConfigError::Syntax { line, column, why: error.message().to_owned() }
    })?;
    let top = Section::top(&source, document.get_ref());
    top.check(&keys::TOP)?;
    let Config { repository, temp_dir, time_zone, jobs, databases: _ } = Config::without_file(folder);
    let time_zone = top.read("time_zone", time_zone, |entry| {
        entry.text()?.parse().map_err(|_| entry.wrong("no such time zone; write it like Europe/Berlin"))
    })?;
    Ok(Config {
        repository: top.read("repository", repository, |entry| repository_folder(entry, folder))?,
        temp_dir: top.read("temp_dir", temp_dir, |entry| Ok(Some(folder.join(entry.text()?))))?,
        time_zone,
        jobs: top.read("jobs", jobs, |entry| Ok(Some(job_count(entry)?)))?,
        databases: top.read("database", BTreeMap::new(), |entry| databases(entry, folder, time_zone))?,
    })
}

fn repository_folder(entry: &Entry<'_>, folder: &Path) -> Result<PathBuf, ConfigError> {
    let text = entry.text()?;
    match text.split_once("://") {
        Some((scheme @ ("s3" | "gs" | "az"), _)) => Err(entry.unsupported(&format!("a repository at {scheme}://"))),
        Some(("file", path)) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(_) => Err(entry.wrong("expected a folder")),
        None => Ok(folder.join(text)),
    }
}

fn job_count(entry: &Entry<'_>) -> Result<NonZeroUsize, ConfigError> {
    let count = usize::try_from(entry.number()?).ok().and_then(NonZeroUsize::new);
    count.ok_or_else(|| entry.wrong("expected a whole number from 1"))
}

fn databases(
    entry: &Entry<'_>,
    folder: &Path,
    time_zone: Tz,
) -> Result<BTreeMap<DatabaseName, DatabaseConfig>, ConfigError> {
    let one = |entry: Entry<'_>| {
        let name = DatabaseName::escape(entry.name()).map_err(|error| entry.wrong(error.to_string()))?;
        Ok((name, database(&entry, folder, time_zone)?))
    };
    entry.section()?.entries().map(one).collect()
}

fn database(entry: &Entry<'_>, folder: &Path, time_zone: Tz) -> Result<DatabaseConfig, ConfigError> {
    let section = entry.section()?;
    section.check(&keys::DATABASE)?;
    let DatabaseConfig { url, files, compression, check, absent_ok, protected, retention } =
        DatabaseConfig::unconfigured(None, time_zone);
    let database = DatabaseConfig {
        url: section.read("url", url, |entry| url_of(entry, folder).map(Some))?,
        files: section
            .read("files", files, |entry| Ok(entry.texts()?.into_iter().map(|path| folder.join(path)).collect()))?,
        compression: section.read("compression", compression, Entry::parsed)?,
        check: section.read("check", check, check_depth)?,
        absent_ok: section.read("absent_ok", absent_ok, Entry::boolean)?,
        protected: section.read("protected", protected, Entry::boolean)?,
        retention: section.read("retention", retention, |entry| policy(entry, time_zone))?,
    };
    if database.url.is_none() && database.files.is_empty() {
        return Err(entry.wrong("names neither url nor files"));
    }
    Ok(database)
}

fn url_of(entry: &Entry<'_>, folder: &Path) -> Result<DatabaseUrl, ConfigError> {
    DatabaseUrl::parse(&entry.text()?, folder).map_err(|error| entry.wrong(error.to_string()))
}

fn check_depth(entry: &Entry<'_>) -> Result<CheckDepth, ConfigError> {
    match entry.text()?.as_str() {
        "full" => Ok(CheckDepth::Full),
        "quick" => Ok(CheckDepth::Quick),
        "none" => Ok(CheckDepth::None),
        _ => Err(entry.wrong("expected full, quick or none")),
    }
}

fn policy(entry: &Entry<'_>, time_zone: Tz) -> Result<Policy, ConfigError> {
    let section = entry.section()?;
    section.check(&keys::RETENTION)?;
    let count = |name| section.read(name, 0, Entry::number);
    Ok(Policy {
        keep_last: count("keep_last")?,
        keep_hourly: count("keep_hourly")?,
        keep_daily: count("keep_daily")?,
        keep_weekly: count("keep_weekly")?,
        keep_monthly: count("keep_monthly")?,
        keep_yearly: count("keep_yearly")?,
        time_zone,
    })
}

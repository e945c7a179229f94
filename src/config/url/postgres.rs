//! PostgreSQL's forms: URIs, and key=value connection strings as libpq reads them.

use std::collections::BTreeMap;
use std::fmt;

use super::invalid;
use super::percent::{decoded_text, pairs};
use crate::config::error::ConfigError;
use crate::config::secret::Secret;

/// A database of a PostgreSQL server, as given; what is missing, `PG*` variables and libpq's defaults fill in.
/// Prints without password and parameters.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PostgresUrl {
    /// Servers to try, in this order; none: the default socket.
    pub hosts: Vec<PostgresHost>,
    /// The role to log in as.
    pub user: Option<String>,
    /// The database's name.
    pub database: Option<String>,
    /// The role's password.
    pub password: Option<Secret>,
    /// Further parameters (`sslmode`, `service`, …), of which some are as secret as the password.
    pub parameters: BTreeMap<String, Secret>,
}

/// A server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresHost {
    /// A name, an address, or the folder of a socket; absent: the default.
    pub name: Option<String>,
    /// The port; absent: the default.
    pub port: Option<u16>,
}

/// Keywords that tell a connection string from a path (the PostgreSQL manual, "Parameter Key Words").
const KEYWORDS: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "service",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
    "application_name",
    "options",
    "target_session_attrs",
];

/// Whether a text is a key=value connection string.
pub(super) fn is_key_value(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| KEYWORDS.contains(&key.trim()))
}

/// What follows `postgresql://`: `user:password@host:port,host:port/database?name=value&…`.
pub(super) fn uri(rest: &str) -> Result<PostgresUrl, ConfigError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let mut url = PostgresUrl {
        hosts: hosts.split(',').filter(|host| !host.is_empty()).map(host_of).collect::<Result<_, _>>()?,
        user: given(decoded_text(user)?),
        database: given(decoded_text(database)?),
        password: password.map(decoded_text).transpose()?.and_then(given).map(Secret::new),
        parameters: BTreeMap::new(),
    };
    let pairs = pairs(query).collect::<Result<Vec<_>, _>>()?;
    url.take(pairs)?;
    Ok(url)
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// `name`, `name:port`, `[address]:port`.
fn host_of(text: &str) -> Result<PostgresHost, ConfigError> {
    let (name, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, ""))) => (address, None),
        Some(Some((address, after))) => {
            (address, Some(after.strip_prefix(':').ok_or_else(|| invalid("no colon between [address] and port"))?))
        }
        Some(None) => return Err(invalid("the [ of an address is not closed")),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(port_of).transpose()?;
    Ok(PostgresHost { name: given(decoded_text(name)?), port })
}

fn port_of(text: &str) -> Result<u16, ConfigError> {
    let port = text.trim().parse().ok().filter(|&port| port != 0);
    port.ok_or_else(|| invalid("its port is no number from 1 to 65535 (a : / ? # @ in a password is written %XX)"))
}

/// `keyword = value` pairs between blanks; values in single quotes may hold blanks, `\` takes the next as it is.
pub(super) fn key_value(text: &str) -> Result<PostgresUrl, ConfigError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| invalid("expected keyword=value after a value"))?;
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(invalid("a keyword has no = after it"));
        }
        let (value, after) = value_of(after.trim_start())?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    let mut url = PostgresUrl::default();
    url.take(pairs)?;
    Ok(url)
}

/// The first value of a text, and what follows it.
fn value_of(text: &str) -> Result<(String, &str), ConfigError> {
    let quoted = text.strip_prefix('\'');
    let text = quoted.unwrap_or(text);
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted.is_some() => return Ok((value, &text[at + 1..])),
            blank if quoted.is_none() && blank.is_whitespace() => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if quoted.is_some() { Err(invalid("a quote in it is not closed")) } else { Ok((value, "")) }
}

impl PostgresUrl {
    /// Takes parameters, of which some are parts of the URL by another way; the last of a name counts.
    fn take(&mut self, pairs: Vec<(String, String)>) -> Result<(), ConfigError> {
        let (mut hosts, mut ports) = (None, None);
        for (name, value) in pairs {
            match name.as_str() {
                "host" => hosts = given(value),
                "port" => ports = given(value),
                "user" => self.user = given(value),
                "dbname" => self.database = given(value),
                "password" => self.password = given(value).map(Secret::new),
                _ => drop(self.parameters.insert(name, Secret::new(value))),
            }
        }
        if let Some(hosts) = hosts {
            let host = |name: &str| PostgresHost { name: given(name.trim().to_owned()), port: None };
            self.hosts = hosts.split(',').map(host).collect();
        }
        ports.map_or(Ok(()), |ports| self.take_ports(&ports))
    }

    /// One port for all hosts, or one for each.
    fn take_ports(&mut self, ports: &str) -> Result<(), ConfigError> {
        if self.hosts.is_empty() {
            self.hosts.push(PostgresHost { name: None, port: None });
        }
        let listed: Vec<&str> = ports.split(',').collect();
        if listed.len() != 1 && listed.len() != self.hosts.len() {
            return Err(invalid("it has another number of ports than of hosts"));
        }
        for (host, text) in self.hosts.iter_mut().zip(listed.iter().cycle()) {
            host.port = if text.trim().is_empty() { None } else { Some(port_of(text)?) };
        }
        Ok(())
    }
}

impl fmt::Display for PostgresHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or_default();
        if name.contains(':') {
            write!(f, "[{name}]")?
        } else {
            f.write_str(name)?
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgresql://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        write!(f, "{}/{}", hosts.join(","), self.database.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

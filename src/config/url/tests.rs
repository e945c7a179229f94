use super::*;
use crate::config::secret::Secret;

fn parse(text: &str) -> Result<DatabaseUrl, ConfigError> {
    DatabaseUrl::parse(text, Path::new("/srv/app"))
}

fn check_sqlite(text: &str, path: &str) {
    assert_eq!(parse(text), Ok(DatabaseUrl::Sqlite(path.into())), "{text}");
}

/// Shown, and the password.
fn check_postgres(text: &str, shown: &str, password: Option<&str>) {
    let Ok(DatabaseUrl::Postgres(url)) = parse(text) else { panic!("{text}: {:?}", parse(text)) };
    assert_eq!((url.to_string().as_str(), url.password.as_ref().map(Secret::reveal)), (shown, password), "{text}");
}

fn check_error(text: &str, why: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert!(error.contains(why), "{text}: {error}");
}

#[test]
fn sqlite_forms() {
    check_sqlite("agents.db", "/srv/app/agents.db");
    check_sqlite("./data/agents.db", "/srv/app/./data/agents.db");
    check_sqlite("/var/agents.db", "/var/agents.db");
    check_sqlite("sqlite:///agents.db", "/srv/app/agents.db");
    check_sqlite("sqlite:////var/agents.db", "/var/agents.db");
    check_sqlite("sqlite:///./a b.db?timeout=5", "/srv/app/./a b.db");
    check_sqlite("sqlite+aiosqlite:///agents.db", "/srv/app/agents.db");
    check_sqlite("sqlite+pysqlite:////var/agents.db", "/var/agents.db");
    check_sqlite("SQLite:////var/agents.db", "/var/agents.db");
    check_sqlite("sqlite:agents.db", "/srv/app/agents.db");
    check_sqlite("sqlite:/var/agents.db?mode=ro", "/var/agents.db");
    check_sqlite("sqlite://agents.db?mode=rwc", "/srv/app/agents.db");
    check_sqlite("file:agents.db", "/srv/app/agents.db");
    check_sqlite("file:/var/a%20b%2Fc.db?mode=ro#part", "/var/a b/c.db");
    check_sqlite("file:///var/agents.db", "/var/agents.db");
    check_sqlite("file://localhost/var/agents.db", "/var/agents.db");
    check_sqlite("sqlite:///file:/var/agents.db?uri=true", "/var/agents.db");
    check_sqlite("what?.db", "/srv/app/what?.db");
    check_sqlite("a=b.db", "/srv/app/a=b.db");
    check_sqlite("50%.db", "/srv/app/50%.db");
}

#[test]
fn memory_is_refused() {
    for text in [
        ":memory:",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite::memory:",
        "sqlite:",
        "file::memory:",
        "file:",
        "file:x?mode=memory&cache=shared",
        "sqlite:///file:x?mode=memory&uri=true",
        "file:/x?vfs=memdb",
    ] {
        check_error(text, "a database in memory can't be backed up");
    }
}

#[test]
fn postgres_uris() {
    check_postgres("postgres://app@db/exam", "postgresql://app@db/exam", None);
    check_postgres("postgresql://app:s%40crt@db:5433/exam", "postgresql://app@db:5433/exam", Some("s@crt"));
    check_postgres("postgresql+psycopg://app:p@db/exam", "postgresql://app@db/exam", Some("p"));
    check_postgres("postgresql+psycopg2://app:p@db/exam", "postgresql://app@db/exam", Some("p"));
    check_postgres("postgresql+asyncpg://app:p@db/exam", "postgresql://app@db/exam", Some("p"));
    check_postgres("postgres://app:p@x@db/exam", "postgresql://app@db/exam", Some("p@x"));
    check_postgres("postgres:///exam", "postgresql:///exam", None);
    check_postgres("postgres://", "postgresql:///", None);
    check_postgres("postgres://db", "postgresql://db/", None);
    check_postgres("postgres://app:p@[::1]:5433/exam", "postgresql://app@[::1]:5433/exam", Some("p"));
    check_postgres("postgres://a:5432,b:5433/exam", "postgresql://a:5432,b:5433/exam", None);
    check_postgres("postgres://%2Fvar%2Frun/exam", "postgresql:///var/run/exam", None);
    check_postgres(
        "postgres:///exam?host=/tmp&port=5499&user=me&password=p",
        "postgresql://me@/tmp:5499/exam",
        Some("p"),
    );
    check_postgres("postgres://app@db/pr%C3%BCf?sslmode=require&sslpassword=hidden", "postgresql://app@db/prüf", None);
}

#[test]
fn postgres_connection_strings() {
    check_postgres("host=db dbname=exam", "postgresql://db/exam", None);
    check_postgres("dbname=exam", "postgresql:///exam", None);
    check_postgres(
        "host = db port = 5433 user='the app' password='it\\'s \\\\ ok' dbname=exam",
        "postgresql://the app@db:5433/exam",
        Some("it's \\ ok"),
    );
    check_postgres("host=a,b port=5432 dbname=x", "postgresql://a:5432,b:5432/x", None);
    check_postgres("host=a,b port=1,2 dbname=x", "postgresql://a:1,b:2/x", None);
    check_postgres("service=prod", "postgresql:///", None);
    check_postgres("host=db password='' dbname=x", "postgresql://db/x", None);
}

#[test]
fn parameters_are_kept() {
    let Ok(DatabaseUrl::Postgres(url)) = parse("postgres://db/x?sslmode=require&sslpassword=hidden") else { panic!() };
    assert_eq!(url.parameters["sslmode"].reveal(), "require");
    assert_eq!(url.parameters["sslpassword"].reveal(), "hidden");
}

#[test]
fn other_texts_are_refused() {
    check_error("", "it is empty");
    check_error("mysql://root@db/x", "mysql is neither PostgreSQL nor SQLite");
    check_error("postgresql+pg8000://db/x", "unknown driver pg8000");
    check_error("sqlite+pysqlcipher://:key@/x.db", "unknown driver pysqlcipher");
    check_error("postgres://db:port/x", "its port is no number");
    check_error("postgres://db:0/x", "its port is no number");
    check_error("postgres://[::1/x", "is not closed");
    check_error("postgres://[::1]5432/x", "no colon");
    check_error("postgres://a%zz@db/x", "two hexadecimal digits");
    check_error("postgres://a%ff@db/x", "not UTF-8");
    check_error("postgres://a%00@db/x", "two hexadecimal digits");
    check_error("host=db password='open", "a quote in it is not closed");
    check_error("host=db user", "expected keyword=value");
    check_error("host=a,b,c port=1,2", "another number of ports");
    check_error("file://server/x.db", "a file: URI names a path on this host");
}

#[test]
fn nothing_secret_shows() {
    for text in [
        "postgres://app:hunter2@db/x?sslpassword=hunter2",
        "postgres://app:hunter2@db:bad/x",
        "postgres://app:hunter2/@db/x",
        "postgres://app:hunter2%zz@db/x",
        "postgres://db/x?password=hunter2%",
        "host=db password=hunter2 dbname=x",
        "host=db password='hunter2",
        "host=db password = hunter2 hunter2",
        "mysql://root:hunter2@db/x",
    ] {
        let parsed = parse(text);
        let shown = format!("{parsed:?} {}", parsed.as_ref().map_or_else(ToString::to_string, ToString::to_string));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(format!("{0} {0:?}", Secret::new("hunter2".to_owned())), "*** ***");
}

#[test]
fn default_names() {
    for (text, name) in [
        ("/var/agents.db", "agents"),
        ("/var/agents.v1.sqlite3", "agents.v1"),
        ("postgres://app@db/exam_prod", "exam_prod"),
        ("postgres://app@db", "app"),
        ("postgres://app@db/a%2Fb", "a=2Fb"),
    ] {
        assert_eq!(parse(text).unwrap().default_name().unwrap().as_str(), name);
    }
    assert!(parse("postgres://db").unwrap().default_name().is_err());
}

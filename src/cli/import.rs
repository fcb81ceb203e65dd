//! `vestibule import`: the users of another system, row by row, and their sessions.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value as Json, json};

use super::{Outcome, Settings, house};
use crate::app::Ctx;
use crate::error::FieldError;
use crate::error::Result;
use crate::moving::import::{self, BATCH, Outcome as Became, Tried};
use crate::moving::native::{self, Native};
use crate::moving::rows::Fields;
use crate::moving::rows::{Csv, JsonLines, Row, object};
use crate::moving::{Mapping, Newcomer, Reading, columns, read, sessions};
use crate::policy::Carry;
use crate::store;

/// Rows between two lines of progress.
const PROGRESS: u64 = 10_000;

/// What to take in, and how.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    from: From,
    /// Take roles too; a row that has some is refused otherwise.
    #[arg(long)]
    with_roles: bool,
}

#[derive(Subcommand)]
enum What {
    /// Take in the sessions of users who have moved in: see `change_over` in the settings.
    Sessions(From),
}

/// Where rows come from, and how they are read.
#[derive(Args)]
#[command(group(ArgGroup::new("from").required(true).args(["csv", "json", "from_postgres"])))]
struct From {
    /// A CSV file whose first line names the columns; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// A file with one JSON object on each line, or what `vestibule export` wrote; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A PostgreSQL to read from, or `@FILE` with its address.
    #[arg(long, value_name = "URL", requires = "query")]
    from_postgres: Option<String>,
    /// What to read there: one SELECT, or `@FILE` with it.
    #[arg(long, value_name = "SQL", requires = "from_postgres")]
    query: Option<String>,
    /// Which column is which field: FIELD=COLUMN, or FIELD=text{COLUMN}text{COLUMN}.
    #[arg(long, value_name = "FIELD=COLUMN")]
    map: Vec<String>,
    /// A value for every row: FIELD=VALUE.
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// What stands between the values of a CSV file.
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    separator: char,
    /// A name for where the users come from: ids of different sources never meet.
    #[arg(long, value_name = "NAME", default_value = "import")]
    source: String,
    /// Keep ids that are UUIDs as they are.
    #[arg(long)]
    keep_ids: bool,
    /// Only say what would happen. Nothing is stored.
    #[arg(long)]
    dry_run: bool,
    /// Where every row that is refused is written with its line and the reasons.
    #[arg(long, value_name = "FILE", default_value = "vestibule-import.jsonl")]
    report: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

/// What rows are made into.
trait Kind {
    /// What one row makes.
    type Made: Clone;
    /// The field that says which row it is.
    const NAMED: &'static str;
    fn read(&self, ctx: &Ctx, fields: &Fields) -> Result<Self::Made, Vec<FieldError>>;
    async fn take(&mut self, ctx: &Ctx, rows: &[Self::Made]) -> Result<Vec<Became>>;
    /// What will be in the way of one that was taken in.
    fn hindrance(_: &Ctx, _: &Self::Made) -> Option<&'static str> {
        None
    }
    /// One out of an export, where such a one is taken.
    fn native(&self, _: &Ctx, _: &native::Person) -> Option<Result<Self::Made, Vec<FieldError>>> {
        None
    }
}

struct Users {
    reading: Reading,
    tried: Option<Tried>,
}

impl Kind for Users {
    type Made = Newcomer;
    const NAMED: &'static str = "id";
    fn read(&self, ctx: &Ctx, fields: &Fields) -> Result<Newcomer, Vec<FieldError>> {
        read(fields, &self.reading, &ctx.policy.account, ctx.now)
    }
    async fn take(&mut self, ctx: &Ctx, rows: &[Newcomer]) -> Result<Vec<Became>> {
        import::take(ctx, rows, &self.reading.source, self.tried.as_mut()).await
    }
    fn hindrance(ctx: &Ctx, newcomer: &Newcomer) -> Option<&'static str> {
        import::hindrance(ctx, newcomer)
    }
    fn native(&self, ctx: &Ctx, person: &native::Person) -> Option<Result<Newcomer, Vec<FieldError>>> {
        Some(person.read(&ctx.app, &self.reading))
    }
}

struct Sessions {
    reading: Reading,
    carry: Carry,
    tried: Option<sessions::Tried>,
}

impl Kind for Sessions {
    type Made = sessions::Arriving;
    const NAMED: &'static str = "user";
    fn read(&self, ctx: &Ctx, fields: &Fields) -> Result<Self::Made, Vec<FieldError>> {
        sessions::read(fields, &self.reading, self.carry, ctx)
    }
    async fn take(&mut self, ctx: &Ctx, rows: &[Self::Made]) -> Result<Vec<Became>> {
        sessions::take(ctx, rows, &self.reading.source, self.tried.as_mut()).await
    }
}

/// A row that was read: its line, the id it had, and what it makes.
struct Candidate<T> {
    line: u64,
    id: Option<String>,
    made: Result<T, Vec<FieldError>>,
}

/// Reads, decides and reports; exit code 1 when a row was refused.
pub async fn run(options: &Options) -> Outcome {
    let from = match &options.what {
        Some(What::Sessions(from)) => from,
        None => &options.from,
    };
    let reading =
        Reading { source: source(&from.source)?, roles: options.with_roles, keep_ids: from.keep_ids };
    let ctx = house::enter(&from.settings).await?;
    match &options.what {
        None => {
            let tried = from.dry_run.then(Tried::default);
            from.take(&ctx, columns::FIELDS, Users { reading, tried }).await
        }
        Some(What::Sessions(_)) => {
            let carry = sessions::begin(&ctx)?;
            let tried = from.dry_run.then(sessions::Tried::default);
            from.take(&ctx, sessions::FIELDS, Sessions { reading, carry, tried }).await
        }
    }
}

impl From {
    async fn take(&self, ctx: &Ctx, fields: &[&str], kind: impl Kind) -> Outcome {
        let mapping = Mapping::parse(fields, &self.map, &self.set)?;
        let input = self.csv.as_ref().or(self.json.as_ref()).map(|file| open(file)).transpose()?;
        let report = report(&self.report, input.as_ref())?;
        let shown = self.report.display().to_string();
        let mut work = Work {
            ctx,
            kind,
            mapping: &mapping,
            seen: Some(BTreeSet::new()),
            batch: Vec::with_capacity(BATCH),
            report: BufWriter::new(report),
            sum: Sum::default(),
        };
        let lines = |input: Option<File>| {
            let input = input.ok_or("There is no file to read from.")?;
            Ok::<_, String>(BufReader::with_capacity(64 * 1_024, input))
        };
        if let Some(url) = &self.from_postgres {
            let query = self.query.as_deref().unwrap_or_default();
            work.postgres(&at_file(url)?, &at_file(query)?).await?;
        } else if self.csv.is_some() {
            let separator =
                u8::try_from(self.separator).ok().filter(|one| one.is_ascii() && !b"\"\r\n".contains(one));
            let separator = separator.ok_or("--separator is one ASCII character, such as `;`.")?;
            work.csv(Csv::new(lines(input)?, separator)?).await?;
        } else {
            work.json(JsonLines::new(lines(input)?)).await?;
        }
        work.finish().await?;
        work.sum.tell(self.dry_run, ctx.app.clock.now().since(ctx.now));
        match work.sum.refused {
            0 => Ok(()),
            1 => Err(format!("One row was refused: see {shown}.")),
            refused => Err(format!("{refused} rows were refused: see {shown}.")),
        }
    }
}

fn source(name: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| name.to_owned())
        .ok_or_else(|| "--source has 1 to 64 letters, digits and signs, no spaces.".to_owned())
}

fn open(file: &Path) -> Result<File, String> {
    let opened = match file == Path::new("-") {
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => File::open(file),
    };
    opened.map_err(|error| format!("The file {} cannot be read: {error}.", file.display()))
}

/// The report, with what an earlier run wrote still in it; refused where it is what is read.
fn report(path: &Path, input: Option<&File>) -> Result<File, String> {
    let shown = path.display();
    let opened = File::options().write(true).create(true).truncate(false).mode(0o600).open(path);
    let opened = opened.map_err(|error| format!("The report {shown} cannot be written: {error}."))?;
    let file = |file: &File| {
        let found = file.metadata().ok().filter(std::fs::Metadata::is_file);
        found.map(|found| (found.dev(), found.ino()))
    };
    if file(&opened).is_some_and(|report| input.and_then(file) == Some(report)) {
        return Err(format!(
            "The report would be written over what is read, {shown}: give it another name with --report."
        ));
    }
    Ok(opened)
}

/// What stands on the command line, or in the file that it names: an address may hold a password.
fn at_file(text: &str) -> Result<String, String> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let read =
        std::fs::read_to_string(file).map_err(|error| format!("The file {file} cannot be read: {error}."))?;
    Ok(read.trim().to_owned())
}

struct Work<'a, K: Kind> {
    ctx: &'a Ctx,
    kind: K,
    mapping: &'a Mapping,
    /// The columns of the rows so far; none once they were compared with what is asked for.
    seen: Option<BTreeSet<String>>,
    batch: Vec<Candidate<K::Made>>,
    report: BufWriter<File>,
    sum: Sum,
}

impl<K: Kind> Work<'_, K> {
    async fn csv(&mut self, mut csv: Csv<BufReader<File>>) -> Outcome {
        // They stand in the first line, whether or not a row has something there.
        self.seen = None;
        self.columns(csv.columns(), "")?;
        while let Some(row) = csv.read()? {
            self.row(row).await?;
        }
        Ok(())
    }

    async fn json(&mut self, mut lines: JsonLines<BufReader<File>>) -> Outcome {
        let first = lines.read()?.ok_or("The file is empty.")?;
        if native::announces(&first) {
            return self.native(Native::new(lines, &first)?).await;
        }
        self.row(first).await?;
        while let Some(row) = lines.read()? {
            self.row(row).await?;
        }
        Ok(())
    }

    async fn native(&mut self, mut native: Native<BufReader<File>>) -> Outcome {
        while let Some(person) = native.read()? {
            let made = self
                .kind
                .native(self.ctx, &person)
                .ok_or("An export holds users, not sessions of others.")?;
            self.take(Candidate { line: person.line, id: Some(person.id), made }).await?;
        }
        if native.passed > 0 {
            tell(&format!("{} records of other kinds were passed over.", native.passed));
        }
        if !native.whole {
            self.flush().await?;
            return Err(
                "The export is cut short: its last line is missing. What came before is taken in.".into()
            );
        }
        Ok(())
    }

    async fn postgres(&mut self, url: &str, query: &str) -> Outcome {
        let failed = |error: store::StoreError| format!("The query cannot be read: {error}.");
        let mut rows = store::Reading::begin(url, query).await.map_err(failed)?;
        let mut number = 0;
        loop {
            let page = rows.next(BATCH).await.map_err(failed)?;
            if page.is_empty() {
                return Ok(());
            }
            for text in page {
                number += 1;
                self.row(Row { line: number, fields: object(&text) }).await?;
            }
        }
    }

    /// A column that is asked for and is not there would be missed in every row.
    fn columns(&self, columns: &[String], within: &str) -> Outcome {
        let missing = self.mapping.missing(columns);
        if !missing.is_empty() {
            return Err(format!(
                "There is no column {}{within}; there are {}.",
                missing.join(", "),
                columns.join(", ")
            ));
        }
        let unused = self.mapping.unused(columns);
        if !unused.is_empty() {
            tell(&format!("Columns that are not used: {}.", unused.join(", ")));
        }
        Ok(())
    }

    /// Rows need not have all the same columns: of those that come first, one has each.
    fn columns_seen(&mut self) -> Outcome {
        let Some(seen) = self.seen.take_if(|seen| !seen.is_empty()) else { return Ok(()) };
        let within = format!(" in the first {} rows, of which one has to have it", self.batch.len());
        self.columns(&seen.into_iter().collect::<Vec<_>>(), &within)
    }

    async fn row(&mut self, row: Row) -> Outcome {
        let (id, made) = match row.fields {
            Err(fault) => (None, Err(vec![fault])),
            Ok(fields) => {
                if let Some(seen) = &mut self.seen {
                    seen.extend(fields.keys().cloned());
                }
                let fields = self.mapping.apply(&fields);
                let id = fields.get(K::NAMED);
                let id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
                (id, self.kind.read(self.ctx, &fields))
            }
        };
        self.take(Candidate { line: row.line, id, made }).await
    }

    async fn take(&mut self, candidate: Candidate<K::Made>) -> Outcome {
        self.batch.push(candidate);
        if self.batch.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Decides on what has gathered, and reports it in the order of the rows.
    async fn flush(&mut self) -> Outcome {
        self.columns_seen()?;
        self.begin()?;
        let batch = std::mem::take(&mut self.batch);
        let good: Vec<K::Made> =
            batch.iter().filter_map(|candidate| candidate.made.as_ref().ok().cloned()).collect();
        // At its own instant: what happens is told, and sealed, as of when it happened.
        let ctx = &Ctx::new(Arc::clone(&self.ctx.app), None);
        let outcomes = self.kind.take(ctx, &good).await;
        let mut outcomes = outcomes
            .map_err(|error| {
                format!(
                    "{} Run the same command again: who is stored already is left as they are.",
                    house::sentence(error)
                )
            })?
            .into_iter();
        for candidate in batch {
            self.sum.rows += 1;
            let (became, hindrance) = match candidate.made {
                Err(faults) => (Became::Refused(faults), None),
                Ok(made) => (
                    outcomes.next().ok_or("A row was lost, which is a mistake of this program.")?,
                    K::hindrance(self.ctx, &made),
                ),
            };
            let mut line = Map::from_iter([
                ("line".to_owned(), candidate.line.into()),
                ("id".to_owned(), json!(candidate.id)),
            ]);
            match became {
                Became::Stored => self.sum.stored += 1,
                Became::Already => self.sum.already += 1,
                Became::Refused(faults) => {
                    self.sum.refused += 1;
                    line.insert("refused".to_owned(), faults.iter().map(told).collect());
                    self.write(&line.into())?;
                    continue;
                }
            }
            if let Some(hindrance) = hindrance {
                self.sum.hindered += 1;
                line.insert("warning".to_owned(), hindrance.into());
                self.write(&line.into())?;
            }
        }
        if self.sum.rows / PROGRESS > self.sum.told / PROGRESS {
            self.sum.told = self.sum.rows;
            tell(&format!("{} rows", self.sum.rows));
        }
        Ok(())
    }

    /// What an earlier run reported goes when there is something to put in its place.
    fn begin(&mut self) -> Outcome {
        let report = self.report.get_ref();
        let is_file = report.metadata().is_ok_and(|report| report.is_file());
        if self.sum.rows == 0 && is_file {
            report.set_len(0).map_err(|error| format!("The report cannot be written: {error}."))?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Json) -> Outcome {
        writeln!(self.report, "{line}").map_err(|error| format!("The report cannot be written: {error}."))
    }

    async fn finish(&mut self) -> Outcome {
        self.flush().await?;
        self.report.flush().map_err(|error| format!("The report cannot be written: {error}."))
    }
}

fn told(fault: &FieldError) -> Json {
    json!({"field": fault.field, "code": fault.code, "message": fault.message})
}

/// What is for people goes to standard error.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[derive(Default)]
struct Sum {
    rows: u64,
    stored: u64,
    already: u64,
    refused: u64,
    hindered: u64,
    told: u64,
}

impl Sum {
    fn tell(&self, dry: bool, took: std::time::Duration) {
        let Self { rows, stored, already, refused, hindered, .. } = self;
        let would = if dry { "would be taken in" } else { "taken in" };
        tell(&format!("{rows} rows: {stored} {would}, {already} there already, {refused} refused."));
        if *hindered > 0 {
            tell(&format!("{hindered} of them cannot sign in under this policy yet: see the report."));
        }
        let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim);
        tell(&format!("{:.1} s, peak memory {}.", took.as_secs_f64(), peak.unwrap_or("unknown")));
    }
}

use super::super::change::Seen;
use super::super::query::{Cursor, Query};
use super::*;

crate::store::entity! {
    /// Something that takes room.
    pub struct Crate in "crates" { name: String, load: Vec<u8>, }
}

crate::store::entity! {
    /// Something that may have to be done.
    pub struct Task in "tasks" { id: i64, owner: Option<i64>, due: Option<i64>, }
    sparse BY_OWNER (owner, due);
    sparse BY_DUE (due);
}

fn tasks() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE tasks (id INTEGER NOT NULL PRIMARY KEY, owner INTEGER, due INTEGER, \
                 revision INTEGER NOT NULL) STRICT, WITHOUT ROWID; \
             CREATE INDEX tasks_by_owner ON tasks (owner, due) WHERE owner IS NOT NULL; \
             CREATE INDEX tasks_by_due ON tasks (due) WHERE due IS NOT NULL;",
        )
        .unwrap();
    connection
}

#[test]
fn an_update_writes_no_index_of_which_it_changes_nothing() {
    let connection = tasks();
    let seen = |owner, due| Row { revision: 1, values: vec![Value::Int(1), owner, due] };
    let changed = |change: fn(&mut Task)| {
        let seen = Seen::<Task>::from_row(seen(Value::Int(2), Value::Int(3))).unwrap().with(change);
        let Change::Update { table, values, was, .. } = Change::update(&seen) else { unreachable!() };
        let (text, contents) = sql::update(table, &values, was.as_deref());
        let contents: Vec<_> = contents.cloned().collect();
        let mut statement = connection.prepare(&format!("EXPLAIN {text}")).unwrap();
        let mut rows = statement.raw_query();
        let mut written = 0;
        while let Some(row) = rows.next().unwrap() {
            written += usize::from(row.get::<_, String>(1).unwrap() == "IdxInsert");
        }
        (contents, written)
    };
    // The record itself is one of them.
    assert_eq!(changed(|_| {}), (vec![], 1));
    assert_eq!(changed(|task| task.owner = Some(4)), (vec![Value::Int(4)], 2));
    assert_eq!(changed(|task| task.due = None), (vec![Value::Null], 3));
    assert_eq!(changed(|task| (task.owner, task.due) = (None, Some(5))).1, 3);
}

#[test]
fn what_is_looked_for_along_a_sparse_index_is_found_by_it_alone() {
    let connection = tasks();
    let due = || Query::<Task>::along(Task::BY_DUE);
    let owned = || Query::<Task>::along(Task::BY_OWNER).equal(1_i64);
    let next = |values| Some(Cursor(values));
    let searches = [
        (due().until(9_i64), "tasks_by_due"),
        (due().from(1_i64).until(9_i64).descending(), "tasks_by_due"),
        (due().until(9_i64).after(next(vec![Value::Int(3), Value::Int(7)])), "tasks_by_due"),
        (due().equal(4_i64), "tasks_by_due"),
        (owned().from(3_i64), "tasks_by_owner"),
        (owned().equal(4_i64).skip(2), "tasks_by_owner"),
    ];
    for (query, index) in searches {
        let select = query.into_select();
        select.check().unwrap();
        let text = format!("EXPLAIN QUERY PLAN {}", sql::find(&select));
        let mut statement = connection.prepare(&text).unwrap();
        let mut rows = statement.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get::<_, String>(3).unwrap());
        }
        assert!(matches!(&*plan, [one] if one.contains(index)), "{text}: {plan:?}");
    }
}

fn job(name: &str, size: usize) -> (Job, oneshot::Receiver<Result<u64, StoreError>>) {
    let one = Crate { name: name.into(), load: vec![0; size] };
    let (reply, answer) = oneshot::channel();
    (Job { work: Work::Commit { changes: vec![Change::insert(&one)], revision: 1 }, reply }, answer)
}

/// A writer over a file with room for crates, in a folder of its own, and where its jobs come from.
fn writer(name: &str) -> (PathBuf, Writer, Sender<Job>) {
    let folder = std::env::temp_dir().join(format!("vestibule_{name}_{}", std::process::id()));
    let path = folder.join("records.db");
    create(&path).unwrap();
    let connection = connect(&path, false).unwrap();
    connection
        .execute_batch("CREATE TABLE crates (name TEXT NOT NULL PRIMARY KEY, load BLOB NOT NULL, revision INTEGER NOT NULL)")
        .unwrap();
    let (jobs, waiting) = mpsc::channel();
    let marks = Marks::new(Others::noticed());
    (
        folder,
        Writer { connection, jobs: waiting, expected: 1, marks, coming: Coming::new(), seen: None },
        jobs,
    )
}

#[test]
fn a_full_disk_fails_the_whole_batch_and_the_next_one_works_again() {
    let (folder, mut writer, jobs) = writer("full");
    writer.connection.execute_batch("PRAGMA max_page_count = 40").unwrap();
    let count = |writer: &Writer| {
        writer.connection.query_row("SELECT count(*) FROM crates", [], |row| row.get::<_, i64>(0)).unwrap()
    };

    let (first, mut one) = job("a", 1_000);
    let (second, mut two) = job("b", 1_000_000);
    let (third, mut three) = job("c", 1_000);
    jobs.send(second).unwrap();
    jobs.send(third).unwrap();
    writer.batch(first);
    for answer in [&mut one, &mut two] {
        assert!(matches!(answer.try_recv(), Ok(Err(StoreError::Unavailable(_)))));
    }
    assert_eq!(count(&writer), 0);

    let next = writer.jobs.try_recv().unwrap();
    writer.batch(next);
    assert!(matches!(three.try_recv(), Ok(Ok(_))));
    assert_eq!(count(&writer), 1);
    drop(writer);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A reader's own note that it was here would wait in the same queue.
#[test]
fn whoever_waits_while_another_process_holds_the_file_waits_through_the_same_lock() {
    let (folder, mut writer, jobs) = writer("held");
    writer.connection.busy_timeout(Duration::from_millis(50)).unwrap();
    let other = connect(&folder.join("records.db"), false).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (first, one) = job("a", 1);
    let mut answers = vec![one];
    for name in ["b", "c", "d"] {
        let (next, answer) = job(name, 1);
        jobs.send(next).unwrap();
        answers.push(answer);
    }
    writer.batch(first);
    for answer in &mut answers {
        assert!(matches!(answer.try_recv(), Ok(Err(StoreError::Unavailable(_)))));
    }
    other.execute_batch("ROLLBACK").unwrap();
    let (next, mut answer) = job("e", 1);
    writer.batch(next);
    assert!(matches!(answer.try_recv(), Ok(Ok(_))));
    let names: String =
        other.query_row("SELECT group_concat(name) FROM crates", [], |row| row.get(0)).unwrap();
    assert_eq!(names, "e");
    drop((writer, other));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn while_a_crowd_is_coming_a_commit_waits_for_it_and_else_for_nobody() {
    let (folder, mut writer, _jobs) = writer("company");
    // How long the disk takes is not asked here.
    writer.connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let quickest = |writer: &mut Writer, names: &str| {
        let took = (0..10).map(|round| {
            let (one, mut answer) = job(&format!("{names}, {round}"), 1);
            let began = std::time::Instant::now();
            writer.batch(one);
            assert!(matches!(answer.try_recv(), Ok(Ok(_))));
            began.elapsed()
        });
        took.min().unwrap()
    };
    assert!(quickest(&mut writer, "alone") < COMPANY);
    let mut crowd = Vec::new();
    while !writer.coming.is_crowd() {
        crowd.push(writer.coming.announce());
    }
    assert!(quickest(&mut writer, "in a crowd") >= COMPANY);
    crowd.pop();
    assert!(!writer.coming.is_crowd());
    assert!(quickest(&mut writer, "as many as can be hashed soon") < COMPANY);
    drop((crowd, writer));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn when_the_writer_is_gone_callers_are_told() {
    let folder = std::env::temp_dir().join(format!("vestibule_gone_{}", std::process::id()));
    let path = folder.join("records.db");
    create(&path).unwrap();
    let (jobs, waiting) = mpsc::channel::<Job>();
    // It takes a job and dies over it.
    let writer = std::thread::spawn(move || drop(waiting.recv()));
    let (writer, marks) = (Mutex::new(Some(writer)), Marks::new(Others::noticed()));
    let inner = Inner { path, jobs: Some(jobs), writer, marks, coming: Coming::new() };
    let store = Sqlite { inner: Arc::new(inner) };
    for _ in 0..2 {
        let one = Crate { name: "a".into(), load: Vec::new() };
        let outcome = store.commit(vec![Change::insert(&one)], 1).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
    }
    drop(store);
    std::fs::remove_dir_all(folder).unwrap();
}

//! Tasks as files: what goes out comes in again, and what cannot come in is said.

use kernel::ids::TaskId;
use kernel::scopes::Scope;
use kernel::{ErrorKind, Result};
use platform::Caller;
use serde_json::{Value, json};

use super::support::{World, body, code, field_codes, world};
use crate::command::ImportTasks;
use crate::query::ExportQuery;
use crate::view::{ImportReport, TaskView};

impl World {
    async fn import(&self, command: Value) -> Result<ImportReport> {
        self.tick();
        self.import_as(&self.ann(), command).await
    }

    async fn import_as(&self, caller: &Caller, command: Value) -> Result<ImportReport> {
        let command: ImportTasks = body(command);
        let reply = self.service.import_tasks(caller, self.project_id, command).await?;
        Ok(reply.body)
    }

    /// A program of Ann's.
    fn key(&self, scopes: &[Scope]) -> Caller {
        Caller {
            scopes: Some(scopes.iter().copied().collect()),
            ..self.ann()
        }
    }

    async fn csv(&self, content: &str) -> ImportReport {
        self.import(json!({ "format": "csv", "content": content })).await.unwrap()
    }

    async fn export(&self, query: &str) -> String {
        self.export_as(&self.ann(), query).await
    }

    async fn export_as(&self, caller: &Caller, query: &str) -> String {
        let query: ExportQuery = platform::http::parse_query(query).unwrap();
        let (criteria, format) = query.parse().unwrap();
        let mut export = self
            .service
            .clone()
            .export_tasks(caller, self.project_id, criteria, format)
            .await
            .unwrap();
        let mut file = Vec::new();
        while let Some(part) = export.next().await.unwrap() {
            file.extend(part);
        }
        String::from_utf8(file).unwrap()
    }

    async fn imported(&self, report: &ImportReport) -> Vec<TaskView> {
        let mut tasks = Vec::new();
        for task in &report.tasks {
            tasks.push(self.read(task.id).await);
        }
        tasks
    }
}

/// `row field code` of every error.
fn errors(report: &ImportReport) -> Vec<String> {
    let field = |error: &crate::view::RowError| error.field.map_or("-", crate::model::import::ImportField::name);
    let one = |error: &crate::view::RowError| format!("{} {} {}", error.row, field(error), error.code);
    report.errors.iter().map(one).collect()
}

#[tokio::test]
async fn a_file_from_elsewhere_is_understood_and_its_bad_rows_come_back() {
    let world = world().await;
    let bug = world.label("Bug").await;
    let file = format!(
        "Summary;Status;Due;Assigned to;Tags;Prio\r\n\
         Paint the door;In Progress;2026-12-24;Viewer <{}@example.org>;BUG;x\r\n\
         ;Done;;;;\r\n\
         Oil the hinge;Sleeping;24.12.2026;nobody@example.org;bug, none;\r\n",
        world.viewer
    );
    let before = world.events().await.len();
    let mut command = json!({ "format": "csv", "content": file, "dry_run": true });
    let seen = world.import(command.clone()).await.unwrap();
    assert_eq!((seen.rows, seen.valid, seen.failed, seen.created), (3, 1, 2, 0));
    assert_eq!(world.events().await.len(), before, "a dry run does nothing");
    command["dry_run"] = json!(false);
    let report = world.import(command).await.unwrap();
    assert_eq!(errors(&report), errors(&seen), "the dry run told the truth");
    assert_eq!(
        errors(&report),
        [
            "3 title blank",
            "4 status unknown_state",
            "4 assignees not_a_member",
            "4 labels unknown_label",
            "4 due_date invalid_date"
        ]
    );
    assert_eq!(report.errors[1].column.as_deref(), Some("Status"));
    assert_eq!(report.columns[5].field, None, "a column that nobody knows");
    let tasks = world.imported(&report).await;
    assert_eq!((tasks[0].title.as_str(), tasks[0].key.as_str()), ("Paint the door", "ABC-1"));
    assert_eq!(
        (tasks[0].assignee_ids.clone(), tasks[0].label_ids.clone()),
        (vec![world.viewer], vec![bug])
    );
    assert_eq!(tasks[0].due_at.unwrap().to_string(), "2026-12-24T22:59:59.999999Z");
    // Mended, the file of the failed rows is imported as it is.
    let mended = report
        .error_file
        .unwrap()
        .replacen("\"\";\"Done\"", "\"Lock up\";\"Done\"", 1)
        .replace("Sleeping", "open")
        .replace("24.12.2026", "")
        .replace("\"nobody@example.org\";\"bug, none\"", "\"\";\"bug\"");
    let again = world.csv(&mended).await;
    assert_eq!(
        (again.created, again.failed, again.error_file.as_deref()),
        (2, 0, None),
        "{again:?}"
    );
}

#[tokio::test]
async fn what_is_exported_comes_back_the_same_in_either_form() {
    let world = world().await;
    let label = world.label("one; two, \"three\"").await;
    let top = world
        .create(
            json!({ "title": "=HYPERLINK(\"http://evil\")", "description": "-1\n@x, ünï", "label_ids": [label], "priority": "urgent",
            "assignee_ids": [world.ann, world.viewer], "due_date": "2026-12-24" }),
        )
        .await;
    let below = world
        .create(json!({ "title": "'+1", "parent_id": top.id, "due_at": "2026-12-24T10:00:00Z" }))
        .await;
    world
        .service
        .complete_task(&world.ann(), below.id, &super::support::if_match(None), true)
        .await
        .unwrap();
    for format in ["csv", "json"] {
        let file = world.export(&format!("format={format}")).await;
        assert!(!file.starts_with('\u{feff}'));
        if format == "csv" {
            assert!(file.contains("\"'=HYPERLINK(\"\"http://evil\"\")\""), "{file}");
        }
        let report = world.import(json!({ "format": format, "content": file })).await.unwrap();
        assert_eq!((report.created, report.failed), (2, 0), "{report:?}");
        let tasks = world.imported(&report).await;
        let same = |a: &TaskView, b: &TaskView| {
            let facts = |task: &TaskView| {
                (
                    (
                        task.title.clone(),
                        task.description.clone(),
                        task.state_id,
                        task.status,
                        task.priority,
                    ),
                    (
                        task.due_date.clone(),
                        task.due_at,
                        task.assignee_ids.clone(),
                        task.label_ids.clone(),
                    ),
                )
            };
            assert_eq!(facts(a), facts(b));
        };
        same(&tasks[0], &world.read(top.id).await);
        same(&tasks[1], &world.read(below.id).await);
        assert_eq!(tasks[1].parent_id, Some(tasks[0].id), "the tree is the file's own");
        assert_eq!((tasks[0].subtask_count, tasks[0].subtask_done_count), (1, 1));
        // What was made last goes again, so that the next round sees the same.
        world
            .service
            .delete_task(&world.ann(), tasks[0].id, &super::support::if_match(None))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_export_filters_like_the_list_and_spans_pages() {
    let world = world().await;
    let rows: Vec<String> = (0..450).map(|n| format!("Task {n},{}", ["open", "done"][n % 2])).collect();
    let report = world.csv(&format!("title,status\n{}", rows.join("\n"))).await;
    assert_eq!(report.created, 450);
    let keys: Vec<String> = report.tasks.iter().map(|task| task.key.clone()).collect();
    assert_eq!(
        (keys[0].as_str(), keys[449].as_str()),
        ("ABC-1", "ABC-450"),
        "numbered in the order of the file"
    );
    let tasks = world.imported(&report).await;
    assert!(tasks.is_sorted_by(|a, b| a.position < b.position), "and so they lie on the board");
    let file = world.export("format=json&status=done").await;
    let file: Value = serde_json::from_str(&file).unwrap();
    let items = file["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[224]["title"]), (225, &json!("Task 449")));
    let empty: Value = serde_json::from_str(&world.export("format=json&status=cancelled").await).unwrap();
    assert_eq!(empty["items"], json!([]));
    assert_eq!(world.export("q=nothing").await.lines().count(), 1, "the header alone");
    let file = world.export("").await;
    assert_eq!(file.matches("\r\n").count(), 451);
}

#[tokio::test]
async fn rows_find_their_parents_wherever_they_stand() {
    let world = world().await;
    let there = world.create(json!({ "title": "There" })).await;
    let report = world
        .csv(&format!(
            "id,title,parent\nc,Child,p\np,Parent,\nt,Under a task,ABC-1\nu,Under an id,{}\ng,Grandchild,C\n",
            there.id
        ))
        .await;
    assert_eq!(report.created, 5, "{report:?}");
    let tasks = world.imported(&report).await;
    assert_eq!(
        tasks.iter().map(|task| task.number).collect::<Vec<_>>(),
        [3, 2, 4, 5, 6],
        "parents come first"
    );
    assert_eq!(tasks[0].parent_id, Some(tasks[1].id));
    assert_eq!(tasks[4].parent_id, Some(tasks[0].id));
    assert_eq!((tasks[2].parent_id, tasks[3].parent_id), (Some(there.id), Some(there.id)));
    assert_eq!(world.read(there.id).await.subtask_count, 2);
    let report = world
        .csv(
            "id,title,parent\na,A,b\nb,B,a\nx,X,x\nq,,\nr,Under a bad row,q\nd,D,\nd,D2,\ne,E,d\nn,N,ABC-99\nm,M,XYZ-1\nok,Fine,ABC-6\nok2,Fine,ok\ndeep,Deep,ok2\n",
        )
        .await;
    assert_eq!(
        errors(&report),
        [
            "2 parent parent_failed",
            "3 parent cycle",
            "4 parent cycle",
            "5 title blank",
            "6 parent parent_failed",
            "9 parent ambiguous_parent",
            "10 parent unknown_parent",
            "11 parent unknown_parent",
            "14 parent too_deep"
        ]
    );
    assert_eq!(report.created, 4);
}

/// The row above is a task by then, and its key in the file may be the key of another one.
#[tokio::test]
async fn a_mended_row_lies_below_the_row_it_came_with() {
    let world = world().await;
    let old = world.create(json!({ "title": "Was here before" })).await;
    for (parent, child) in [("K1", "K2"), ("ABC-1", "ABC-2")] {
        let first = world
            .csv(&format!(
                "key,title,parent,priority\n{parent},Parent,,\n{child},Child,{parent},bogus\n"
            ))
            .await;
        assert_eq!((first.created, errors(&first)), (1, vec!["3 priority unknown_priority".to_owned()]));
        let mended = first.error_file.unwrap().replace("bogus", "high");
        let again = world.csv(&mended).await;
        assert_eq!((again.created, again.failed), (1, 0), "{again:?}");
        assert_eq!(world.read(again.tasks[0].id).await.parent_id, Some(first.tasks[0].id));
    }
    assert_eq!(world.read(old.id).await.subtask_count, 0);

    // What did not come in keeps its name: both rows come back, one below the other.
    let both = world.csv("key,title,parent,priority\nABC-1,P,,bogus\nx,C,ABC-1,\n").await;
    assert_eq!(errors(&both), ["2 priority unknown_priority", "3 parent parent_failed"]);
    let again = world.csv(&both.error_file.unwrap().replace("bogus", "")).await;
    assert_eq!(world.read(again.tasks[1].id).await.parent_id, Some(again.tasks[0].id));

    // Which of two is meant nobody knows, so no task that happens to have the key is taken either.
    let unclear = world.csv("key,title,parent\nABC-1,One,\nABC-1,Two,\nx,Child,ABC-1\n").await;
    assert_eq!(
        (unclear.created, errors(&unclear)),
        (2, vec!["4 parent ambiguous_parent".to_owned()])
    );
    let again = world.csv(&unclear.error_file.unwrap()).await;
    assert_eq!(errors(&again), ["2 parent unknown_parent"]);

    // Where nothing came in, the file of the failed rows says what the file said.
    let dry = json!({ "format": "csv", "content": "key,title,parent,priority\nK1,P,,\nK2,C,K1,bogus\n", "dry_run": true });
    let dry = world.import(dry).await.unwrap();
    assert!(dry.error_file.unwrap().contains("\"K2\",\"C\",\"K1\",\"bogus\""));
    assert_eq!(world.read(old.id).await.subtask_count, 0);
}

#[tokio::test]
async fn the_failed_rows_are_read_again_by_the_request_that_failed_them() {
    let world = world().await;
    let mappings = [
        json!({ "title": 2, "due_date": 3 }),
        json!({ "title": "column_2", "due_date": "column_3" }),
    ];
    for header in [json!(false), Value::Null] {
        for mapping in &mappings {
            let mut command = json!({ "format": "csv", "delimiter": ";", "header": header, "mapping": mapping,
                "content": "x;Good;2026-01-01\ny;Bad;tomorrow\nz;Worse;never\n" });
            let first = world.import(command.clone()).await.unwrap();
            assert_eq!((first.created, first.failed, first.header), (1, 2, Some(false)));
            // Again without mending anything: nothing comes in that is no task.
            command["content"] = json!(first.error_file.unwrap());
            let again = world.import(command.clone()).await.unwrap();
            assert_eq!((again.rows, again.created, again.failed), (2, 0, 2), "{again:?}");
            let file = again.error_file.unwrap();
            command["content"] = json!(file.replace("tomorrow", "2026-01-02").replace("never", ""));
            let last = world.import(command).await.unwrap();
            assert_eq!((last.created, last.failed), (2, 0), "{last:?}");
            assert_eq!(world.read(last.tasks[1].id).await.title, "Worse");
        }
    }
}

#[tokio::test]
async fn a_file_whose_rows_end_with_a_delimiter_comes_in_and_so_do_its_mended_rows() {
    let world = world().await;
    let first = world.csv("title,priority\r\nGood,low,\r\nBad,zzz,\r\nWide,low,,beyond,\r\n").await;
    assert_eq!(first.created, 1, "{first:?}");
    assert_eq!(errors(&first), ["3 priority unknown_priority", "4 - too_many_cells"]);
    assert_eq!(first.errors[1].message, "has 4 cells where there are 2 columns");
    // As a spreadsheet mends it: the cell is emptied, and stays there.
    let mended = first.error_file.unwrap().replace("zzz", "high").replace("beyond", "");
    let again = world.csv(&mended).await;
    assert_eq!((again.created, again.failed), (2, 0), "{again:?}");
}

#[tokio::test]
async fn a_file_of_a_spreadsheet_says_how_it_is_separated() {
    let world = world().await;
    let first = world
        .csv("\u{feff}sep=;\r\ntitle;priority\r\nPaint, oil, polish;low\r\nBad;zzz\r\n")
        .await;
    assert_eq!((first.rows, first.created, first.header), (2, 1, Some(true)), "{first:?}");
    assert_eq!((first.errors[0].row, first.errors[0].line), (3, Some(4)));
    let again = world.csv(&first.error_file.unwrap().replace("zzz", "high")).await;
    assert_eq!((again.created, again.failed), (1, 0), "{again:?}");
}

/// Neither an address nor whose it is comes out of an import that the list of members would refuse.
#[tokio::test]
async fn a_key_that_may_not_see_members_learns_of_no_address() {
    let world = world().await;
    let content = format!(
        "title,assignees\nNobody's,\nA member's,{0}@example.org\nA stranger's,nobody@example.org\nBoth,\"{0}@example.org, nobody@example.org\"\n",
        world.viewer
    );
    let command = |dry_run: bool| json!({ "format": "csv", "content": content, "dry_run": dry_run });
    let narrow = world.key(&[Scope::TasksRead, Scope::TasksWrite]);
    for dry_run in [true, false] {
        let report = world.import_as(&narrow, command(dry_run)).await.unwrap();
        assert_eq!(
            errors(&report),
            [
                "3 assignees scope_missing",
                "4 assignees scope_missing",
                "5 assignees scope_missing"
            ]
        );
        let message = &report.errors[0].message;
        assert!(message.contains("members:read"), "{message}");
        assert!(report.errors.iter().all(|error| error.message == *message), "{report:?}");
        assert_eq!(report.created, usize::from(!dry_run), "what names nobody comes in");
    }
    let wide = world.key(&[Scope::TasksRead, Scope::TasksWrite, Scope::MembersRead]);
    for caller in [world.ann(), wide] {
        let report = world.import_as(&caller, command(true)).await.unwrap();
        assert_eq!(errors(&report), ["4 assignees not_a_member", "5 assignees not_a_member"]);
    }
}

#[tokio::test]
async fn an_export_is_recorded_and_shows_addresses_only_to_who_may_know_them() {
    let world = world().await;
    world.create(json!({ "title": "Task", "assignee_ids": [world.viewer] })).await;
    for format in ["csv", "json"] {
        let query = format!("format={format}");
        let narrow = world.export_as(&world.key(&[Scope::TasksRead]), &query).await;
        assert!(narrow.contains("Task") && !narrow.contains('@'), "{narrow}");
        for caller in [world.ann(), world.key(&[Scope::TasksRead, Scope::MembersRead])] {
            let whole = world.export_as(&caller, &query).await;
            assert_eq!(whole.matches("@example.org").count(), 2, "{whole}");
        }
        // What lacks addresses can be imported.
        let report = world
            .import(json!({ "format": format, "content": narrow, "dry_run": true }))
            .await
            .unwrap();
        assert_eq!((report.valid, report.failed), (1, 0));
    }
    let events = world.events().await;
    let recorded: Vec<&Value> = events
        .iter()
        .filter(|(kind, _)| kind == "audit.action_recorded.v1")
        .map(|(_, data)| data)
        .collect();
    assert_eq!(recorded.len(), 6, "each export, and nothing else");
    assert_eq!(recorded[0]["action"], "tasks.exported");
    assert_eq!(recorded[0]["log"], json!({ "kind": "workspace", "id": world.workspace_id }));
    assert_eq!(
        recorded[0]["target"],
        json!({ "kind": "project", "id": world.project_id, "name": "Project ABC" })
    );
    assert_eq!(recorded[5]["changes"], json!([{ "field": "format", "after": "json" }]));
}

#[tokio::test]
async fn an_atomic_import_is_all_or_nothing() {
    let world = world().await;
    let command = json!({ "format": "csv", "content": "title\nFine\n\" \"\nx,too many", "atomic": true });
    let error = world.import(command.clone()).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Invalid, "tasks.import.rows_failed"));
    let report = &error.extensions.unwrap()["report"];
    assert_eq!((&report["failed"], &report["created"]), (&json!(1), &json!(0)), "{report}");
    assert_eq!(report["errors"][0]["code"], "too_many_cells");
    assert!(world.events().await.is_empty());
    let mut fine = command;
    fine["content"] = json!("title\nFine\nFiner");
    assert_eq!(world.import(fine).await.unwrap().created, 2);
}

#[tokio::test]
async fn what_is_no_file_is_refused_before_any_row() {
    let world = world().await;
    for (command, codes) in [
        (json!({ "format": "csv", "content": "a,b\n1,2" }), ["/mapping/title required"]),
        (
            json!({ "format": "csv", "content": "a\n1", "mapping": { "title": "b" } }),
            ["/mapping/title unknown_column"],
        ),
        (json!({ "format": "json", "content": "title" }), ["/content invalid_json"]),
        (
            json!({ "format": "csv", "content": "title,description\nA,\"unterminated\nB,x\nC,y\n" }),
            ["/content unterminated_quote"],
        ),
        (
            json!({ "format": "csv", "content": "title,description\nA,\"quo\"ted\" x\n" }),
            ["/content text_after_quote"],
        ),
        (json!({ "format": "json", "content": "[]", "header": true }), ["/header only_csv"]),
        (
            json!({ "format": "csv", "content": format!("title\n{}", "x\n".repeat(1_001)) }),
            ["/content too_many_rows"],
        ),
    ] {
        assert_eq!(field_codes(world.import(command).await), codes);
    }
    let empty = world.csv("").await;
    assert_eq!((empty.rows, empty.created, empty.error_file), (0, 0, None));
    let mapped = json!({ "format": "csv", "content": "Aufgabe,Status\nA,whatever", "mapping": { "title": "aufgabe", "status": null } });
    assert_eq!(world.import(mapped).await.unwrap().created, 1);
    let bare = json!({ "format": "csv", "content": "A,x\nB,y", "header": false, "mapping": { "title": 1 } });
    assert_eq!(world.import(bare).await.unwrap().created, 2);
    let viewer = world.caller(world.viewer);
    let command: ImportTasks = body(json!({ "format": "csv", "content": "title\nA" }));
    assert_eq!(
        code(world.service.import_tasks(&viewer, world.project_id, command.clone()).await),
        "tasks.forbidden"
    );
    let stranger = world.caller(world.stranger);
    assert_eq!(
        code(world.service.import_tasks(&stranger, world.project_id, command).await),
        "tasks.project.not_found"
    );
}

#[tokio::test]
async fn each_task_is_announced_as_one_of_an_import_and_old_dates_are_not_overdue_news() {
    let world = world().await;
    let report = world
        .csv(&format!(
            "title,due_date,assignees\nOld,2020-01-01,{0}@example.org\nNew,2099-01-01,\"{0}@example.org, {1}@example.org\"\n",
            world.viewer, world.owner
        ))
        .await;
    assert_eq!(report.created, 2, "{report:?}");
    let events = world.events().await;
    assert_eq!(
        world.event_types(0).await,
        ["task_created", "task_created", "tasks_imported", "audit.action_recorded"]
    );
    let import = &events[2].1;
    assert_eq!(events[0].1["import_id"], import["import_id"]);
    assert_eq!(
        (&import["created"], import["assignee_ids"].as_array().unwrap().len()),
        (&json!(2), 2)
    );
    let ids: Vec<TaskId> = report.tasks.iter().map(|task| task.id).collect();
    let due: Vec<String> = world.due().await.into_iter().filter_map(|row| row.key).collect();
    assert!(due.iter().all(|key| key.contains(&ids[1].to_string())), "{due:?}");
    assert_eq!(due.len(), 2);
}

#[tokio::test]
async fn a_large_import_asks_no_more_than_a_small_one() {
    let world = world().await;
    world.label("bug").await;
    world.create(json!({ "title": "There" })).await;
    let mut counts = Vec::new();
    for rows in [2, 200] {
        let content = format!(
            "title,labels,parent,assignees\n{}",
            format!("A,bug,ABC-1,{}@example.org\n", world.viewer).repeat(rows)
        );
        let command = json!({ "format": "csv", "content": content, "dry_run": true });
        let (report, statements) = platform::db::count_statements(world.import(command)).await;
        assert_eq!(report.unwrap().valid, rows);
        counts.push(statements);
    }
    assert_eq!(counts[0], counts[1]);
}

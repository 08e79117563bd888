//! Tasks with certain words, from the inverted index `task_terms`.
//!
//! Three ways, because the best start depends on how often the words occur (measured with 100,000 tasks on the three
//! engines; each way is bad where another one is good):
//! - a rare word: its few tasks are looked up and sorted;
//! - common words: the tasks are walked in the order of the page, each is asked for the words, and a page is soon full;
//! - common words that seldom meet, so that a short walk fills no page: the sets of their tasks are intersected.

use kernel::ids::{TaskId, WorkspaceId};
use platform::db::{Db, DbError, FromRow, Row};
use sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement, UnionType, Value};

use super::list::{Filter, Place, Sort, TextFilter, ordered, page};
use super::{IdRow, padded};
use crate::model::terms::{self, Word};

/// A word of more tasks than this is not rare. Few in tests, so that these go all ways.
const RARE: u64 = if cfg!(test) { 2 } else { 5_000 };

/// So many tasks in the order of the page are looked at for common words, before all tasks with them are gathered.
const WINDOW: u64 = if cfg!(test) { 8 } else { 1_000 };

/// Terms that match a word of a query.
fn is(word: &Word) -> Condition {
    match word {
        Word::Whole(word) => Condition::all().add(Expr::col("term").eq(word.as_str())),
        Word::Prefix(prefix) => Condition::all()
            .add(Expr::col("term").gte(prefix.as_str()))
            .add(Expr::col("term").lte(terms::prefix_end(prefix))),
    }
}

/// The rarest word of a query, if it is rare; one statement for all words, none of which is counted further than
/// [`RARE`].
pub(crate) async fn find_rare(
    db: &Db,
    workspaces: impl Iterator<Item = WorkspaceId>,
    query: &terms::Query,
) -> Result<Option<Word>, DbError> {
    let workspaces = padded(workspaces);
    let words: Vec<Word> = query.all().collect();
    let Some(select) = frequencies(&workspaces, &words) else {
        return Ok(None);
    };
    let rarest = db
        .all::<Frequency>(select)
        .await?
        .into_iter()
        .min_by_key(|frequency| frequency.tasks);
    Ok(rarest
        .filter(|frequency| u64::try_from(frequency.tasks).is_ok_and(|tasks| tasks <= RARE))
        .and_then(|frequency| words.into_iter().nth(usize::try_from(frequency.word).ok()?)))
}

/// A word by its index, and how often it occurs.
struct Frequency {
    word: i32,
    tasks: i64,
}

impl FromRow for Frequency {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            word: row.get(0)?,
            tasks: row.get(1)?,
        })
    }
}

fn frequencies(workspaces: &[Value], words: &[Word]) -> Option<SelectStatement> {
    if workspaces.is_empty() {
        return None;
    }
    let mut counts = words.iter().enumerate().map(|(index, word)| {
        let some = Query::select()
            .column("task_id")
            .from("task_terms")
            .and_where(Expr::col("workspace_id").is_in(workspaces.iter().cloned()))
            .cond_where(is(word))
            .limit(RARE + 1)
            .take();
        Query::select()
            .expr(Expr::cust(index.to_string()))
            .expr(Expr::col("task_id").count())
            .from_subquery(some, "some_terms")
            .take()
    });
    let mut all = counts.next()?;
    all.unions(counts.map(|count| (UnionType::All, count)));
    Some(all)
}

/// The page of a search for common words, if a walk over the first tasks in its order fills it.
pub(super) async fn first_matches(
    db: &Db,
    filter: &Filter,
    sorts: &[Sort],
    after: Option<&Place>,
    limit: u64,
) -> Result<Option<Vec<TaskId>>, DbError> {
    let Some(text) = filter.text.as_ref() else {
        return Ok(None);
    };
    if text.rare.is_some() || text.named.is_some() || text.query == terms::Query::default() {
        return Ok(None);
    }
    let everything = Filter {
        text: None,
        ..filter.clone()
    };
    let columns = [
        "id",
        "created_at",
        "updated_at",
        "due_sort",
        "priority",
        "position",
        "number",
        "title_sort",
    ];
    let Some(window) = page(&everything, sorts, after, WINDOW, &columns) else {
        return Ok(None);
    };
    let mut select = Query::select().column("id").from_subquery(window, "tasks").take();
    select.cond_where(asked_each(text.query.all()));
    ordered(&mut select, sorts, limit);
    let found = db.all::<IdRow>(select).await?;
    let full = found.len() as u64 == limit;
    Ok(full.then(|| found.into_iter().map(|row| TaskId(row.0)).collect()))
}

/// The table `tasks`, narrowed to those that match.
pub(super) fn from_matching(select: &mut SelectStatement, filter: &Filter, text: &TextFilter) {
    let words = match &text.rare {
        Some(rare) => {
            // Nobody flattens a DISTINCT, and SQLite keeps the order of a CROSS JOIN: each hit is looked up.
            let mut hits = tasks_with(filter, rare);
            hits.distinct();
            if let Some(named) = &text.named {
                let task = Query::select().column("id").from("tasks").cond_where(named.condition()).take();
                hits.union(UnionType::Distinct, task);
            }
            select
                .from_subquery(hits, "hits")
                .cross_join("tasks")
                .and_where(Expr::col(("tasks", "id")).equals(("hits", "task_id")));
            asked_each(text.query.all().filter(|word| word != rare))
        }
        None => {
            select.from("tasks");
            let sets = text.query.all().map(|word| Expr::col("id").in_subquery(tasks_with(filter, &word)));
            sets.fold(Condition::all(), Condition::add)
        }
    };
    let nothing_asked = text.query == terms::Query::default();
    // Nothing but punctuation matches nothing.
    let words = if nothing_asked { words.add(Expr::cust("1 = 0")) } else { words };
    select.cond_where(match &text.named {
        Some(named) => Condition::any().add(words).add(named.condition()),
        None => words,
    });
}

fn tasks_with(filter: &Filter, word: &Word) -> SelectStatement {
    Query::select()
        .column("task_id")
        .from("task_terms")
        .and_where(Expr::col("workspace_id").is_in(padded(filter.projects.keys().copied())))
        .cond_where(is(word))
        .take()
}

/// Each task is asked for each word, by a look into the index of its own terms. A scalar subquery, because no engine
/// makes a join of one.
fn asked_each(words: impl Iterator<Item = Word>) -> Condition {
    let ask = |word: Word| {
        let probe = Query::select()
            .expr(Expr::cust("1"))
            .from("task_terms")
            .and_where(Expr::col(("task_terms", "task_id")).equals(("tasks", "id")))
            .cond_where(is(&word))
            .limit(1)
            .take();
        Expr::SubQuery(None, Box::new(probe.into())).eq(Expr::cust("1"))
    };
    words.map(ask).fold(Condition::all(), Condition::add)
}

//! Workflow states of a workspace.

use kernel::ids::{EntityId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::{DbError, Guard, Reply, Unit};
use platform::http::{Field, IfMatch};

use super::TasksService;
use super::settings::announce;
use crate::command::{CreateState, UpdateState};
use crate::error::TasksError;
use crate::model::{DEFAULT_STATES, MAX_STATES, State, StateId, Status, text};
use crate::store;
use crate::view::{StateList, StateView};

/// Distance between the columns of a new workspace, so that others fit in between.
const STEP: i32 = 1_000;
const MAX_POSITION: i32 = 1_000_000;

const LAST_OF_ITS_KIND: Guard = Guard::conflict("tasks.state.is_last", "A workspace keeps at least one open and one done state.");

impl TasksService {
    /// The states of a workspace; makes the default ones when it has none yet.
    pub(crate) async fn ensure_states(&self, workspace_id: WorkspaceId) -> Result<Vec<State>> {
        let states = store::states::list(&self.db, workspace_id).await?;
        if !states.is_empty() {
            return Ok(states);
        }
        let mut unit = Unit::new(&Caller::system(&*self.toolkit.clock, "tasks-default-states"));
        self.seed_states(&mut unit, workspace_id);
        match self.db.apply(unit).await {
            Ok(_) => {}
            // Somebody else was faster; theirs count.
            Err(error) if error.is_unique() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(store::states::list(&self.db, workspace_id).await?)
    }

    /// The marker row makes a second seeding fail as a whole.
    pub(crate) fn seed_states(&self, unit: &mut Unit, workspace_id: WorkspaceId) {
        let now = self.toolkit.clock.now();
        store::states::mark_seeded(unit, workspace_id, now);
        for (name, position, status) in DEFAULT_STATES.iter().zip(1..).map(|((name, status), n)| (name, n * STEP, status)) {
            let state = State {
                id: StateId::generate(&*self.toolkit.clock),
                workspace_id,
                name: (*name).to_owned(),
                status: *status,
                position,
                is_default: position == STEP,
                version: 1,
                created_at: now,
                updated_at: now,
            };
            store::states::insert(unit, &state);
        }
    }

    pub(crate) async fn list_states(&self, caller: &Caller, workspace_id: WorkspaceId) -> Result<StateList> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        let states = self.ensure_states(workspace_id).await?;
        Ok(StateList {
            items: states.into_iter().map(StateView::from).collect(),
        })
    }

    pub(crate) async fn get_state(&self, caller: &Caller, workspace_id: WorkspaceId, state_id: StateId) -> Result<StateView> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        Ok(self.state(workspace_id, state_id).await?.into())
    }

    async fn state(&self, workspace_id: WorkspaceId, state_id: StateId) -> Result<State> {
        let state = self
            .ensure_states(workspace_id)
            .await?
            .into_iter()
            .find(|state| state.id == state_id);
        Ok(state.ok_or(TasksError::StateNotFound)?)
    }

    pub(crate) async fn create_state(&self, caller: &Caller, workspace_id: WorkspaceId, command: CreateState) -> Result<Reply<StateView>> {
        self.membership(caller, workspace_id, Permission::LabelManage).await?;
        let states = self.ensure_states(workspace_id).await?;
        let mut errors = Vec::new();
        let name = text::line(&command.name, 60, "/name", &mut errors);
        let last = states.iter().map(|state| state.position).max().unwrap_or(0);
        let position = command.position.unwrap_or_else(|| (last + STEP).min(MAX_POSITION));
        let is_default = command.is_default.unwrap_or(false);
        check_position(position, &mut errors);
        if is_default && command.status.is_closed() {
            errors.push(closed_default());
        }
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        if states.len() >= MAX_STATES {
            return Err(TasksError::TooManyStates.into());
        }
        let state = State {
            id: StateId::generate(&*self.toolkit.clock),
            workspace_id,
            name,
            status: command.status,
            position,
            is_default,
            version: 1,
            created_at: caller.now,
            updated_at: caller.now,
        };
        let mut unit = Unit::new(caller);
        if is_default {
            store::states::clear_default(&mut unit, workspace_id, state.id, caller.now);
        }
        store::states::insert(&mut unit, &state);
        let id = state.id;
        self.apply_new_setting(unit, state, id).await
    }

    pub(crate) async fn update_state(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        state_id: StateId,
        if_match: &IfMatch,
        command: UpdateState,
    ) -> Result<Reply<StateView>> {
        let old = self.state(workspace_id, state_id);
        let old = self.setting_to_change(caller, workspace_id, if_match, old).await?;
        let mut new = apply_patch(&old, command)?;
        let mut unit = Unit::new(caller);
        if new != old {
            new.version = old.version + 1;
            new.updated_at = caller.now;
            if new.is_default && !old.is_default {
                store::states::clear_default(&mut unit, workspace_id, new.id, caller.now);
            }
            store::states::update(&mut unit, &new, old.version);
        }
        self.apply_setting(unit, new).await
    }

    pub(crate) async fn delete_state(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        state_id: StateId,
        if_match: &IfMatch,
    ) -> Result<()> {
        let state = self.state(workspace_id, state_id);
        let state = self.setting_to_change(caller, workspace_id, if_match, state).await?;
        if state.is_default {
            return Err(TasksError::StateIsDefault.into());
        }
        let mut unit = Unit::new(caller);
        if matches!(state.status, Status::Open | Status::Done) {
            store::states::require_another(&mut unit, &state, LAST_OF_ITS_KIND);
        }
        store::states::delete(&mut unit, &state);
        announce(&mut unit, &state);
        match self.db.apply(unit).await {
            Ok(_) => Ok(()),
            Err(DbError::ForeignKey) => Err(TasksError::StateInUse.into()),
            Err(error) => Err(error.into()),
        }
    }
}

fn apply_patch(old: &State, command: UpdateState) -> Result<State> {
    let mut errors = Vec::new();
    let mut new = old.clone();
    match command.name {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/name")),
        Field::Value(name) => new.name = text::line(&name, 60, "/name", &mut errors),
    }
    match command.position {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/position")),
        Field::Value(position) => {
            check_position(position, &mut errors);
            new.position = position;
        }
    }
    match command.is_default {
        Field::Absent => {}
        Field::Null => errors.push(FieldError::not_null("/is_default")),
        Field::Value(true) if old.status.is_closed() => errors.push(closed_default()),
        Field::Value(false) if old.is_default => errors.push(FieldError::new(
            "/is_default",
            "default_required",
            "make another state the default instead",
        )),
        Field::Value(is_default) => new.is_default = is_default,
    }
    if errors.is_empty() { Ok(new) } else { Err(Error::invalid(errors)) }
}

fn check_position(position: i32, errors: &mut Vec<FieldError>) {
    if !(0..=MAX_POSITION).contains(&position) {
        errors.push(FieldError::new(
            "/position",
            "out_of_range",
            format!("must be between 0 and {MAX_POSITION}"),
        ));
    }
}

fn closed_default() -> FieldError {
    FieldError::new("/is_default", "closed_default", "a done or cancelled state cannot be the default")
}

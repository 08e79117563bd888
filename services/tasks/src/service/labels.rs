//! Labels of a workspace.

use kernel::cursor::Page;
use kernel::ids::{EntityId, WorkspaceId};
use kernel::roles::Permission;
use kernel::{Error, FieldError, Result};
use platform::Caller;
use platform::db::{Reply, Unit};
use platform::http::{Field, IfMatch};

use super::TasksService;
use super::settings::announce;
use crate::command::{CreateLabel, UpdateLabel};
use crate::error::TasksError;
use crate::model::{Label, LabelId, MAX_LABELS, terms, text};
use crate::store;
use crate::view::LabelView;

const DEFAULT_COLOR: &str = "#888888";

impl TasksService {
    /// In the order of their names.
    pub(crate) async fn list_labels(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        cursor: Option<&str>,
        limit: u64,
        include_total: bool,
    ) -> Result<Page<LabelView>> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        let binding = format!("labels|{workspace_id}|{}", caller.user_id()?);
        let after: Option<String> = self.toolkit.cursors.start(cursor, &binding)?;
        let labels = store::labels::list(&self.db, workspace_id, after.as_deref(), limit + 1).await?;
        let page = self
            .toolkit
            .cursors
            .page(labels, limit, &binding, |label| label.name_folded.clone())?;
        let total = if include_total {
            Some(u64::try_from(store::labels::count(&self.db, workspace_id).await?).unwrap_or(0))
        } else {
            None
        };
        Ok(Page {
            total,
            ..page.map(LabelView::from)
        })
    }

    pub(crate) async fn get_label(&self, caller: &Caller, workspace_id: WorkspaceId, label_id: LabelId) -> Result<LabelView> {
        self.membership(caller, workspace_id, Permission::WorkspaceRead).await?;
        Ok(self.label(workspace_id, label_id).await?.into())
    }

    async fn label(&self, workspace_id: WorkspaceId, label_id: LabelId) -> Result<Label> {
        let label = store::labels::find(&self.db, workspace_id, label_id).await?;
        Ok(label.ok_or(TasksError::LabelNotFound)?)
    }

    pub(crate) async fn create_label(&self, caller: &Caller, workspace_id: WorkspaceId, command: CreateLabel) -> Result<Reply<LabelView>> {
        self.membership(caller, workspace_id, Permission::LabelManage).await?;
        let mut errors = Vec::new();
        let name = text::line(&command.name, 60, "/name", &mut errors);
        let color = text::color(command.color.as_deref().unwrap_or(DEFAULT_COLOR), "/color", &mut errors);
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        if store::labels::count(&self.db, workspace_id).await? >= i64::try_from(MAX_LABELS).unwrap_or(i64::MAX) {
            return Err(TasksError::TooManyLabels.into());
        }
        let label = Label {
            id: LabelId::generate(&*self.toolkit.clock),
            workspace_id,
            name_folded: terms::folded_name(&name),
            name,
            color,
            version: 1,
            created_at: caller.now,
            updated_at: caller.now,
        };
        let mut unit = Unit::new(caller);
        store::labels::insert(&mut unit, &label);
        let id = label.id;
        self.apply_new_setting(unit, label, id).await
    }

    pub(crate) async fn update_label(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        label_id: LabelId,
        if_match: &IfMatch,
        command: UpdateLabel,
    ) -> Result<Reply<LabelView>> {
        let old = self.label(workspace_id, label_id);
        let old = self.setting_to_change(caller, workspace_id, if_match, old).await?;
        let mut errors = Vec::new();
        let mut new = old.clone();
        match command.name {
            Field::Absent => {}
            Field::Null => errors.push(FieldError::not_null("/name")),
            Field::Value(name) => {
                new.name = text::line(&name, 60, "/name", &mut errors);
                new.name_folded = terms::folded_name(&new.name);
            }
        }
        match command.color {
            Field::Absent => {}
            Field::Null => errors.push(FieldError::not_null("/color")),
            Field::Value(color) => new.color = text::color(&color, "/color", &mut errors),
        }
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        let mut unit = Unit::new(caller);
        if new != old {
            new.version = old.version + 1;
            new.updated_at = caller.now;
            store::labels::update(&mut unit, &new, old.version);
        }
        self.apply_setting(unit, new).await
    }

    /// Takes the label off all tasks and deletes it for good.
    pub(crate) async fn delete_label(
        &self,
        caller: &Caller,
        workspace_id: WorkspaceId,
        label_id: LabelId,
        if_match: &IfMatch,
    ) -> Result<()> {
        let label = self.label(workspace_id, label_id);
        let label = self.setting_to_change(caller, workspace_id, if_match, label).await?;
        let mut unit = Unit::new(caller);
        store::labels::delete(&mut unit, &label, caller.now);
        announce(&mut unit, &label);
        self.db.apply(unit).await?;
        Ok(())
    }
}

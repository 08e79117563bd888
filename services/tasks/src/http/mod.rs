//! Routes: parse, call the service, render.

mod comments;
mod feeds;
mod labels;
mod recurrence;
mod relations;
mod states;
mod tasks;
mod transfer;
mod trash;
mod verbs;
mod views;

use std::sync::Arc;

use platform::http::OpenApiRouter;
use utoipa_axum::routes;

use crate::TasksService;

pub(crate) fn routes(service: Arc<TasksService>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(tasks::list_project_tasks, tasks::create_task))
        .routes(routes!(transfer::export_tasks))
        .routes(routes!(transfer::import_tasks))
        .routes(routes!(tasks::list_tasks))
        .routes(routes!(tasks::batch_tasks))
        .routes(routes!(tasks::get_task, tasks::update_task, tasks::delete_task))
        .routes(routes!(tasks::get_task_by_key))
        .routes(routes!(verbs::restore_task))
        .routes(routes!(trash::list_trash))
        .routes(routes!(trash::purge_task))
        .routes(routes!(verbs::complete_task, verbs::reopen_task))
        .routes(routes!(verbs::archive_task, verbs::unarchive_task))
        .routes(routes!(verbs::move_task))
        .routes(routes!(verbs::assign_task, verbs::unassign_task))
        .routes(routes!(relations::list_relations))
        .routes(routes!(relations::relate_tasks, relations::unrelate_tasks))
        .routes(routes!(
            recurrence::get_recurrence,
            recurrence::set_recurrence,
            recurrence::end_recurrence
        ))
        .routes(routes!(recurrence::skip_occurrence))
        .routes(routes!(comments::list_comments, comments::create_comment))
        .routes(routes!(comments::get_comment, comments::update_comment, comments::delete_comment))
        .routes(routes!(comments::list_activity))
        .routes(routes!(labels::list_labels, labels::create_label))
        .routes(routes!(labels::get_label, labels::update_label, labels::delete_label))
        .routes(routes!(states::list_states, states::create_state))
        .routes(routes!(states::get_state, states::update_state, states::delete_state))
        .routes(routes!(views::list_views, views::create_view))
        .routes(routes!(views::get_view, views::update_view, views::delete_view))
        .routes(routes!(views::list_view_tasks))
        .routes(routes!(feeds::list_feeds, feeds::create_feed))
        .routes(routes!(feeds::delete_feed))
        .routes(routes!(feeds::read_feed))
        .with_state(service)
}

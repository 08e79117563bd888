//! The router that collects the description of its routes. utoipa-axum's own keeps one of two schemas that share a name and says
//! nothing, so that routes are described with the fields of another; here it becomes a finding of [`super::openapi::lint`].

#![expect(clippy::disallowed_types, reason = "the one place that goes round it")]

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, Route};
use tower::{Layer, Service};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa_axum::router::{OpenApiRouter as Collecting, UtoipaMethodRouter};

/// Where a document lists the names that different schemas share.
pub(super) const COLLISIONS: &str = "x-schema-collisions";

/// Routes with their description.
pub struct OpenApiRouter<S = ()>(Collecting<S>);

impl<S: Clone + Send + Sync + 'static> OpenApiRouter<S> {
    pub fn new() -> Self {
        Self(Collecting::new())
    }

    /// With the handlers of one path, as `utoipa_axum::routes!` gives them.
    #[must_use]
    pub fn routes(mut self, handlers: UtoipaMethodRouter<S>) -> Self {
        let mut given: Vec<&(String, RefOr<Schema>)> = handlers.0.iter().collect();
        // Two of these handlers may already disagree.
        given.sort_by(|one, other| one.0.cmp(&other.0));
        let within = given.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
        let mut names: Vec<String> = within.map(|pair| pair[0].0.clone()).collect();
        names.extend(collisions(self.0.get_openapi(), given.iter().map(|(name, schema)| (name, schema))));
        note(self.0.get_openapi_mut(), names);
        Self(self.0.routes(handlers))
    }

    /// One that is not described, such as a page for people.
    #[must_use]
    pub fn route(self, path: &str, handlers: MethodRouter<S>) -> Self {
        Self(self.0.route(path, handlers))
    }

    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (router, mut document) = self.0.split_for_parts();
        let (others, description) = other.0.split_for_parts();
        merge(&mut document, description);
        let mut merged = Collecting::from(router.merge(others));
        *merged.get_openapi_mut() = document;
        Self(merged)
    }

    #[must_use]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self(self.0.layer(layer))
    }

    pub fn get_openapi(&self) -> &OpenApi {
        self.0.get_openapi()
    }

    pub fn with_state<S2>(self, state: S) -> OpenApiRouter<S2> {
        OpenApiRouter(self.0.with_state(state))
    }

    pub fn into_openapi(self) -> OpenApi {
        self.0.into_openapi()
    }

    pub fn split_for_parts(self) -> (Router<S>, OpenApi) {
        self.0.split_for_parts()
    }
}

impl<S: Clone + Send + Sync + 'static> Default for OpenApiRouter<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> From<OpenApiRouter<S>> for Router<S> {
    fn from(described: OpenApiRouter<S>) -> Self {
        described.0.into()
    }
}

/// Adds the description of other routes.
pub fn merge(document: &mut OpenApi, mut other: OpenApi) {
    let schemas = other.components.iter().flat_map(|components| &components.schemas);
    let mut names = collisions(document, schemas);
    let noted = other.extensions.as_mut().and_then(|extensions| extensions.remove(COLLISIONS));
    if let Some(serde_json::Value::Array(noted)) = noted {
        names.extend(noted.iter().filter_map(|name| name.as_str().map(str::to_owned)));
    }
    document.merge(other);
    note(document, names);
}

/// The names under which `document` has another schema.
fn collisions<'a>(document: &OpenApi, others: impl Iterator<Item = (&'a String, &'a RefOr<Schema>)>) -> Vec<String> {
    let Some(components) = &document.components else {
        return Vec::new();
    };
    others
        .filter(|(name, schema)| components.schemas.get(*name).is_some_and(|known| known != *schema))
        .map(|(name, _)| name.clone())
        .collect()
}

fn note(document: &mut OpenApi, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    let noted = document.extensions.get_or_insert_with(Extensions::default);
    let noted = noted.entry(COLLISIONS.to_owned()).or_insert_with(|| serde_json::json!([]));
    if let Some(noted) = noted.as_array_mut() {
        noted.extend(names.into_iter().map(serde_json::Value::String));
    }
}

#[cfg(test)]
mod tests {
    use utoipa::ToSchema;
    use utoipa_axum::routes;

    use super::super::openapi::{complete, lint};
    use super::*;

    mod one {
        use super::*;

        #[derive(ToSchema)]
        pub struct View {
            #[expect(dead_code, reason = "only described")]
            name: String,
        }

        /// Read one
        #[utoipa::path(get, path = "/one", tag = "t", operation_id = "readOne", responses((status = 200, description = "One", body = View)))]
        pub async fn read() {}

        /// Write one
        #[utoipa::path(put, path = "/one/again", tag = "t", operation_id = "writeOne", responses((status = 200, description = "One", body = View)))]
        pub async fn again() {}
    }

    mod other {
        use super::*;

        #[derive(ToSchema)]
        pub struct View {
            #[expect(dead_code, reason = "only described")]
            count: i64,
        }

        /// Read another
        #[utoipa::path(get, path = "/other", tag = "t", operation_id = "readOther", responses((status = 200, description = "Other", body = View)))]
        pub async fn read() {}

        /// Write one with another
        #[utoipa::path(put, path = "/one", tag = "t", operation_id = "writeOther", responses((status = 200, description = "Other", body = View)))]
        pub async fn write() {}
    }

    fn findings(router: OpenApiRouter) -> Vec<String> {
        lint(&complete(serde_json::to_value(router.into_openapi()).expect("json")))
    }

    #[tokio::test]
    async fn two_schemas_of_one_name_are_found_wherever_they_meet() {
        let plain = OpenApiRouter::new().routes(routes!(one::read)).routes(routes!(one::again));
        assert_eq!(findings(plain), Vec::<String>::new());
        let twice = "schema View: two of this name";
        assert_eq!(findings(OpenApiRouter::new().routes(routes!(one::read, other::write))), [twice]);
        let after = OpenApiRouter::new().routes(routes!(one::read)).routes(routes!(other::read));
        assert_eq!(findings(after), [twice]);
        let [left, right] = [routes!(one::read), routes!(other::read)].map(|handlers| OpenApiRouter::new().routes(handlers));
        assert_eq!(findings(left.merge(right)), [twice]);
        // What was found is not lost on the way to the whole document.
        let inner = OpenApiRouter::new().routes(routes!(one::read)).routes(routes!(other::read));
        assert_eq!(findings(OpenApiRouter::new().merge(inner)), [twice]);
    }
}

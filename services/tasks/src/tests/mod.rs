//! Tests of service and store on a real database.

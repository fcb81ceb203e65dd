//! The migrations make what the records say.

use vestibule::store::{Engine, migrations};

use crate::place::Place;

#[tokio::test]
async fn the_live_schema_is_what_the_records_declare() {
    let place = Place::new().await;
    let engine = Engine::open(&place.url, 2).unwrap();
    let pending = migrations::plan(&engine).await.unwrap();
    assert!(!pending.is_empty());
    migrations::apply(&engine).await.unwrap();
    assert!(migrations::plan(&engine).await.unwrap().is_empty());
    migrations::apply(&engine).await.unwrap();
    let differences =
        vestibule::store::schema::differences(&engine, &vestibule::schema::tables()).await.unwrap();
    assert_eq!(differences, Vec::<String>::new());
}

//! What a record is: its fields, key, indexes and expiry, declared once with `entity!`.

use std::fmt;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;

/// The kind of a column; each engine has its own native type for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A 64-bit signed integer.
    Int,
    /// True or false.
    Bool,
    /// An instant, in milliseconds.
    Time,
    /// A UUID.
    Uuid,
    /// Bytes.
    Bytes,
    /// A JSON document.
    Json,
}

/// One field's content on its way to or from an engine.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Int`].
    Int(i64),
    /// See [`Kind::Bool`].
    Bool(bool),
    /// See [`Kind::Time`].
    Time(Timestamp),
    /// See [`Kind::Uuid`].
    Uuid(Uuid),
    /// See [`Kind::Bytes`].
    Bytes(Vec<u8>),
    /// See [`Kind::Json`].
    Json(Json),
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may hold nothing.
    pub nullable: bool,
    /// Whether what it holds is sealed.
    pub sealed: bool,
}

/// A declared index: the only ways in which records are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    /// The columns, in order.
    pub columns: &'static [&'static str],
    /// Whether no two records may share the columns' values (two Nulls never collide).
    pub unique: bool,
    /// Whether records with nothing in the first column are left out of it: it is as small as what is looked
    /// for along it, however many records there are, and a record that leaves it is not put elsewhere.
    pub sparse: bool,
}

/// A kind of record. The first column is the key. Every table also has a `revision`.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The fields, the key first.
    pub columns: &'static [Column],
    /// The declared indexes.
    pub indexes: &'static [Index],
    /// The column after whose instant a record may be swept away.
    pub expires: Option<&'static str>,
    /// The column that says when a worker should look at the record (Null: nothing to do).
    pub due: Option<&'static str>,
    /// The column by whose value records are kept in memory, and other nodes told that they changed.
    pub kept: Option<&'static str>,
    /// What else is written in the commit that changes or ends a record, whoever changes it.
    pub follows: Option<Follows>,
}

/// What else a commit writes because of one of its changes. Made of the change alone, so that it is the same
/// however often it is asked.
pub type Follows = fn(&super::Change) -> Option<super::Change>;

impl Table {
    /// The one name that a declaration gives, when it gives one.
    #[doc(hidden)]
    pub const fn only<T: Copy>(given: &[T]) -> Option<T> {
        match given {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The key column.
    #[expect(clippy::indexing_slicing, reason = "`entity!` gives every table its key")]
    pub fn key(&self) -> Column {
        self.columns[0]
    }

    /// Where a column stands.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == column)
    }
}

/// A row as an engine gives it: the revision, then the fields in declared order.
#[derive(Clone, Debug)]
pub struct Row {
    /// The commit that wrote it.
    pub revision: i64,
    /// The fields.
    pub values: Vec<Value>,
}

/// A stored value that does not fit its field.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Corrupt(pub String);

/// A record that the store can hold. Made by `entity!`.
pub trait Entity: Sized + Clone + Send + Sync + 'static {
    /// The key's type.
    type Key: Field;
    /// Its table.
    fn table() -> &'static Table;
    /// Its key.
    fn key(&self) -> Value;
    /// Its fields in declared order.
    fn to_values(&self) -> Vec<Value>;
    /// Reads it back.
    fn from_values(values: Vec<Value>) -> Result<Self, Corrupt>;
}

/// A type that can be one field of a record.
pub trait Field: Sized {
    /// The column's kind.
    const KIND: Kind;
    /// Whether the column may be Null.
    const NULLABLE: bool = false;
    /// Whether what it holds is sealed.
    const SEALED: bool = false;
    /// To the engine.
    fn to_value(&self) -> Value;
    /// From the engine.
    fn from_value(value: Value) -> Result<Self, Corrupt>;
}

/// The instants that every engine can hold: the years 0000 to 9999, of which the last day is cut
/// short by the calendar library. Outside of them RFC 3339 text does not sort.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_207_200_000;

impl Value {
    /// Its kind; none for Null.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Bool(_) => Kind::Bool,
            Self::Time(_) => Kind::Time,
            Self::Uuid(_) => Kind::Uuid,
            Self::Bytes(_) => Kind::Bytes,
            Self::Json(_) => Kind::Json,
        })
    }

    /// Whether every engine can hold it. PostgreSQL's text and JSON have no U+0000.
    pub(super) fn is_storable(&self) -> bool {
        fn clean(json: &Json) -> bool {
            match json {
                Json::String(text) => !text.contains('\0'),
                Json::Array(items) => items.iter().all(clean),
                Json::Object(fields) => {
                    fields.iter().all(|(name, value)| !name.contains('\0') && clean(value))
                }
                _ => true,
            }
        }
        match self {
            Self::Text(text) => !text.contains('\0'),
            Self::Time(at) => INSTANTS.contains(&at.as_millis()),
            Self::Json(json) => clean(json),
            _ => true,
        }
    }

    /// The nearest value that can be stored, for use as a bound.
    pub(super) fn clamped(self) -> Self {
        match self {
            Self::Time(at) => {
                Self::Time(Timestamp::from_millis(at.as_millis().clamp(*INSTANTS.start(), *INSTANTS.end())))
            }
            other => other,
        }
    }

    /// The error of a field that expected something else. Never shows the content.
    pub fn unexpected<T>(self, expected: &str) -> Result<T, Corrupt> {
        let found = match self {
            Self::Null => "nothing",
            Self::Text(_) => "other text",
            Self::Int(_) => "another number",
            Self::Bool(_) => "true or false",
            Self::Time(_) => "an instant",
            Self::Uuid(_) => "a UUID",
            Self::Bytes(_) => "bytes",
            Self::Json(_) => "other JSON",
        };
        Err(Corrupt(format!("expected {expected}, found {found}")))
    }
}

macro_rules! plain_field {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl Field for $type {
            const KIND: Kind = Kind::$kind;
            fn to_value(&self) -> Value {
                Value::$kind(self.clone())
            }
            fn from_value(value: Value) -> Result<Self, Corrupt> {
                match value {
                    Value::$kind(inner) => Ok(inner),
                    other => other.unexpected(stringify!($type)),
                }
            }
        }
    )*};
}

plain_field! { String => Text, i64 => Int, bool => Bool, Timestamp => Time, Uuid => Uuid, Vec<u8> => Bytes, Json => Json }

impl Field for u32 {
    const KIND: Kind = Kind::Int;
    fn to_value(&self) -> Value {
        Value::Int(i64::from(*self))
    }
    fn from_value(value: Value) -> Result<Self, Corrupt> {
        match value {
            Value::Int(number) => u32::try_from(number).or_else(|_| Value::Int(number).unexpected("u32")),
            other => other.unexpected("u32"),
        }
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    const SEALED: bool = T::SEALED;
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
    fn from_value(value: Value) -> Result<Self, Corrupt> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Declares a record: the struct, its table, its indexes as constants, and the mapping.
///
/// ```ignore
/// entity! {
///     /// A person who may sign in.
///     pub struct User in "users" {
///         /// The first field is the key.
///         id: Uuid,
///         email: Option<String>,
///     }
///     unique BY_EMAIL (email);
///     index BY_AGE (age);
///     sparse BY_DUE (due_at);
///     expires expires_at;
///     due due_at;
///     kept id;
///     follows what_else;
/// }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! entity {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $table:literal {
            $(#[$key_meta:meta])* $key:ident : $key_type:ty,
            $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)?
        }
        $(unique $unique:ident ($($unique_column:ident),+);)*
        $(index $index:ident ($($index_column:ident),+);)*
        $(sparse $sparse:ident ($($sparse_column:ident),+);)*
        $(expires $expires:ident;)?
        $(due $due:ident;)?
        $(kept $kept:ident;)?
        $(follows $follows:path;)?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(#[$key_meta])* pub $key: $key_type,
            $($(#[$field_meta])* pub $field: $type),*
        }

        impl $name {
            $(
                #[doc = concat!("Unique index of `", $table, "`.")]
                pub const $unique: $crate::store::Index = $crate::store::Index {
                    columns: &[$(stringify!($unique_column)),+], unique: true, sparse: false,
                };
            )*
            $(
                #[doc = concat!("Index of `", $table, "`.")]
                pub const $index: $crate::store::Index = $crate::store::Index {
                    columns: &[$(stringify!($index_column)),+], unique: false, sparse: false,
                };
            )*
            $(
                #[doc = concat!("Index of those of `", $table, "` that have something in its first column.")]
                pub const $sparse: $crate::store::Index = $crate::store::Index {
                    columns: &[$(stringify!($sparse_column)),+], unique: false, sparse: true,
                };
            )*
        }

        impl $crate::store::Entity for $name {
            type Key = $key_type;

            fn table() -> &'static $crate::store::Table {
                use $crate::store::{Column, Field, Table};
                const TABLE: &Table = &Table {
                    name: $table,
                    columns: &[
                        Column {
                            name: stringify!($key),
                            kind: <$key_type as Field>::KIND,
                            nullable: <$key_type as Field>::NULLABLE,
                            sealed: <$key_type as Field>::SEALED,
                        },
                        $(Column {
                            name: stringify!($field),
                            kind: <$type as Field>::KIND,
                            nullable: <$type as Field>::NULLABLE,
                            sealed: <$type as Field>::SEALED,
                        }),*
                    ],
                    indexes: &[$($name::$unique,)* $($name::$index,)* $($name::$sparse,)*],
                    expires: $crate::store::Table::only(&[$(stringify!($expires))?]),
                    due: $crate::store::Table::only(&[$(stringify!($due))?]),
                    kept: $crate::store::Table::only(&[$(stringify!($kept))?]),
                    follows: $crate::store::Table::only::<$crate::store::Follows>(&[$($follows)?]),
                };
                const { assert!(TABLE.columns.len() <= 64, "what an update changes is told by 64 bits") };
                TABLE
            }

            fn key(&self) -> $crate::store::Value {
                $crate::store::Field::to_value(&self.$key)
            }

            fn to_values(&self) -> Vec<$crate::store::Value> {
                vec![
                    $crate::store::Field::to_value(&self.$key),
                    $($crate::store::Field::to_value(&self.$field)),*
                ]
            }

            fn from_values(values: Vec<$crate::store::Value>) -> Result<Self, $crate::store::Corrupt> {
                let mut values = values.into_iter();
                let mut next = |column: &str| {
                    values.next().ok_or_else(|| {
                        $crate::store::Corrupt(format!("{}.{column} is missing", $table))
                    })
                };
                fn read<T: $crate::store::Field>(
                    column: &str,
                    value: $crate::store::Value,
                ) -> Result<T, $crate::store::Corrupt> {
                    T::from_value(value).map_err(|error| {
                        $crate::store::Corrupt(format!("{}.{column}: {error}", $table))
                    })
                }
                Ok(Self {
                    $key: read(stringify!($key), next(stringify!($key))?)?,
                    $($field: read(stringify!($field), next(stringify!($field))?)?),*
                })
            }
        }
    };
}
pub(crate) use entity;

/// Declares an enum that is stored, sent and shown as one of a few words.
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }
    ) => {
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        $(#[$meta])*
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in declared order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// What the word is for; none for a word that is for nothing.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::store::Field for $name {
            const KIND: $crate::store::Kind = $crate::store::Kind::Text;
            fn to_value(&self) -> $crate::store::Value {
                $crate::store::Value::Text(self.as_str().to_owned())
            }
            fn from_value(value: $crate::store::Value) -> Result<Self, $crate::store::Corrupt> {
                if let $crate::store::Value::Text(text) = &value
                    && let Some(found) = Self::of_word(text)
                {
                    return Ok(found);
                }
                value.unexpected(stringify!($name))
            }
        }
    };
}
pub(crate) use text_enum;

/// Lets a serialisable type be stored as a JSON column.
macro_rules! json_field {
    ($type:ty) => {
        impl $crate::store::Field for $type {
            const KIND: $crate::store::Kind = $crate::store::Kind::Json;
            fn to_value(&self) -> $crate::store::Value {
                $crate::store::Value::Json(serde_json::to_value(self).unwrap_or_default())
            }
            fn from_value(value: $crate::store::Value) -> Result<Self, $crate::store::Corrupt> {
                match value {
                    $crate::store::Value::Json(json) => serde_json::from_value(json)
                        .map_err(|error| $crate::store::Corrupt(error.to_string())),
                    other => other.unexpected(stringify!($type)),
                }
            }
        }
    };
}
pub(crate) use json_field;

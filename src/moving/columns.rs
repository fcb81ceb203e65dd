//! Which column of a row is which field here.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::rows::Fields;

/// What a row may say of a user. `metadata.NAME` is also a field, for every name.
pub const FIELDS: &[&str] = &[
    "id",
    "username",
    "email",
    "email_verified",
    "mobile",
    "mobile_verified",
    "name",
    "locale",
    "password",
    "password_changed_at",
    "second_factor",
    "totp_secret",
    "status",
    "roles",
    "metadata",
    "created_at",
    "updated_at",
];

/// What a field of `metadata` of its own begins with.
const METADATA: &str = "metadata.";

#[derive(Clone, PartialEq, Debug)]
enum From {
    /// The column of this name.
    Column(String),
    /// Text between columns: what stands at even places is text, at odd ones a column's name.
    Template(Vec<String>),
    /// The same for every row.
    Constant(String),
}

/// Which column is which field. Without a word about it, a field is the column of its own name.
#[derive(Clone, PartialEq, Debug)]
pub struct Mapping(BTreeMap<String, From>);

impl Mapping {
    /// Reads `FIELD=COLUMN` or `FIELD=text{COLUMN}text{COLUMN}`, and `FIELD=VALUE` for constants, of these `fields`.
    ///
    /// # Errors
    /// A sentence about the first that cannot be understood.
    pub fn parse(fields: &[&str], columns: &[String], constants: &[String]) -> Result<Self, String> {
        let mut map: BTreeMap<String, From> =
            fields.iter().map(|field| ((*field).to_owned(), From::Column((*field).to_owned()))).collect();
        let mut given = Vec::new();
        let mut put = |text: &String, read: fn(&str) -> Result<From, String>| {
            let (field, from) = text.split_once('=').ok_or(format!("`{text}` is not FIELD=COLUMN."))?;
            let inner = fields.contains(&"metadata");
            let known = fields.contains(&field)
                || inner && field.len() > METADATA.len() && field.starts_with(METADATA);
            if !known {
                let more = if inner { " and metadata.NAME" } else { "" };
                return Err(format!("`{field}` is not a field; there are {}{more}.", fields.join(", ")));
            }
            if given.contains(&field.to_owned()) {
                return Err(format!("`{field}` is given twice."));
            }
            given.push(field.to_owned());
            map.insert(field.to_owned(), read(from)?);
            Ok(())
        };
        columns.iter().try_for_each(|text| put(text, From::parse))?;
        constants.iter().try_for_each(|text| put(text, |text| Ok(From::Constant(text.to_owned()))))?;
        Ok(Self(map))
    }

    /// The columns that are asked for by name and are not among `columns`.
    pub fn missing(&self, columns: &[String]) -> Vec<String> {
        let asked = self.0.iter().flat_map(|(field, from)| {
            let own = matches!(from, From::Column(column) if column == field);
            from.columns().filter(move |_| !own)
        });
        asked.filter(|column| !columns.iter().any(|known| known == column)).map(str::to_owned).collect()
    }

    /// Those of `columns` that no field is taken from.
    pub fn unused(&self, columns: &[String]) -> Vec<String> {
        let used: Vec<&str> = self.0.values().flat_map(From::columns).collect();
        columns.iter().filter(|column| !used.contains(&column.as_str())).cloned().collect()
    }

    /// The fields of a row by their names here. What is null or an empty text is not there.
    pub fn apply(&self, row: &Fields) -> Fields {
        let value = |from: &From| match from {
            From::Column(column) => row.get(column).cloned(),
            From::Constant(text) => Some(Json::String(text.clone())),
            From::Template(parts) => {
                let part = |(at, part): (usize, &String)| match at % 2 {
                    0 => Some(part.clone()),
                    _ => row.get(part).and_then(plain),
                };
                // All of it or nothing: half a hash is none.
                parts.iter().enumerate().map(part).collect::<Option<String>>().map(Json::String)
            }
        };
        let empty =
            |value: &Json| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        let fields = self.0.iter().filter_map(|(field, from)| Some((field.clone(), value(from)?)));
        fields.filter(|(_, value)| !empty(value)).collect()
    }
}

/// A text or a number as text.
pub fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl From {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.contains('{') {
            return Ok(Self::Column(text.to_owned()));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (column, behind) =
                behind.split_once('}').ok_or(format!("`{text}` opens a bracket and does not close it."))?;
            parts.extend([before.to_owned(), column.to_owned()]);
            rest = behind;
        }
        parts.push(rest.to_owned());
        Ok(Self::Template(parts))
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        let (columns, skip): (&[String], usize) = match self {
            Self::Column(column) => (std::slice::from_ref(column), 0),
            Self::Template(parts) => (parts, 1),
            Self::Constant(_) => (&[], 0),
        };
        columns.iter().skip(skip).step_by(1 + skip).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(columns: &[&str], constants: &[&str]) -> Result<Mapping, String> {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Mapping::parse(FIELDS, &own(columns), &own(constants))
    }

    #[test]
    fn columns_templates_and_constants() {
        let mapping = mapping(
            &["email=mail", "password=pbkdf2_sha256${rounds}${salt}${hash}", "metadata.plan=plan", "id=no"],
            &["email_verified=true"],
        );
        let mapping = mapping.unwrap();
        let row = json!({"mail": "a@b.example", "rounds": 1000, "salt": "s", "hash": "h", "plan": 3, "name": " ", "no": null});
        let fields = mapping.apply(row.as_object().unwrap());
        let expected = json!({
            "email": "a@b.example", "password": "pbkdf2_sha256$1000$s$h", "metadata.plan": 3, "email_verified": "true",
        });
        assert_eq!(Json::Object(fields), expected);
        let half = mapping.apply(json!({"rounds": 1000, "salt": "s"}).as_object().unwrap());
        assert!(!half.contains_key("password"));
        let columns: Vec<_> = ["mail", "salt", "hash", "plan", "no", "city"].map(str::to_owned).into();
        assert_eq!(mapping.missing(&columns), ["rounds"]);
        assert_eq!(mapping.unused(&columns), ["city"]);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (columns, told) in [
            (["email"], "is not FIELD=COLUMN"),
            (["mail=email"], "`mail` is not a field"),
            (["metadata.=x"], "is not a field"),
            (["password={hash"], "does not close"),
        ] {
            assert!(mapping(&columns, &[]).unwrap_err().contains(told), "{columns:?}");
        }
        assert!(mapping(&["email=a"], &["email=b"]).unwrap_err().contains("twice"));
    }
}

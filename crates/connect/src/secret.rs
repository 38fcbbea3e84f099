//! A value that must never be seen: no `Debug`, no `Display`, no `Serialize`.

use serde::Deserialize;

/// A credential. [`Secret::expose`] is the only way to its value, so that every use can be found.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Withholds the value: serde's own message would repeat it.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a secret must be text (value withheld)"))
    }
}

impl schemars::JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    /// In the config file a secret is never a literal: the config crate resolves `env` and `file` before the connector sees it.
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "where the secret is kept: { env = \"NAME\" } or { file = \"path\" }",
            "type": "object",
            "properties": { "env": { "type": "string" }, "file": { "type": "string" } },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
            "x-secret": true,
        })
    }
}

/// One secret, or several while it is being changed: every one of them is accepted.
#[derive(Clone, Default, Deserialize)]
#[serde(untagged)]
pub enum Secrets {
    One(Secret),
    Several(Vec<Secret>),
    #[default]
    #[serde(skip)]
    None,
}

impl Secrets {
    pub fn all(&self) -> Vec<Secret> {
        match self {
            Self::One(secret) => vec![secret.clone()],
            Self::Several(secrets) => secrets.clone(),
            Self::None => Vec::new(),
        }
    }
}

impl schemars::JsonSchema for Secrets {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secrets".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let secret = generator.subschema_for::<Secret>();
        schemars::json_schema!({ "anyOf": [secret, { "type": "array", "items": secret }] })
    }
}

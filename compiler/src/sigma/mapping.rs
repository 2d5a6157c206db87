//! What Sigma's names of fields mean.

use std::collections::BTreeMap;

use peewit_core::field::Field;
use serde::Deserialize;
use toml::Spanned;

use crate::diagnostic::Located;

/// Sigma's fields and the ECS fields that they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping(BTreeMap<String, Field>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fields: BTreeMap<String, Spanned<String>>,
}

impl Mapping {
    /// Reads a mapping: a table `[fields]` in TOML, names of Sigma to names of ECS.
    ///
    /// # Errors
    /// Bad TOML, an ECS field that process events do not have.
    pub fn parse(text: &str) -> Result<Self, Located> {
        let file: File = toml::from_str(text)
            .map_err(|error| Located::new(error.span().unwrap_or(0..0), error.message().trim()))?;
        let field = |(sigma, ecs): (String, Spanned<String>)| {
            let field = Field::from_name(ecs.get_ref());
            let message = || format!("no such process field: {}", ecs.get_ref());
            let field = field.ok_or_else(|| Located::new(ecs.span(), message()))?;
            Ok((sigma, field))
        };
        let fields = file.fields.into_iter().map(field);
        Ok(Self(fields.collect::<Result<_, _>>()?))
    }

    /// What a field of Sigma's stands for. ECS names stand for themselves, as rules made for ECS have them.
    pub fn field(&self, name: &str) -> Option<Field> {
        let mapped = self.0.get(name).copied();
        mapped.or_else(|| Field::from_name(name))
    }
}

impl Default for Mapping {
    /// `compiler/mappings/linux.toml`.
    fn default() -> Self {
        match Self::parse(include_str!("../../mappings/linux.toml")) {
            Ok(mapping) => mapping,
            Err(error) => unreachable!("the built-in mapping: {}", error.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_mapping_and_ones_own() {
        let built_in = Mapping::default();
        assert_eq!(built_in.field("Image"), Some(Field::ProcessExecutable));
        assert_eq!(built_in.field("image"), None);
        assert_eq!(built_in.field("process.name"), Some(Field::ProcessName));
        let own = Mapping::parse("[fields]\nexe = \"process.executable\"\n").expect("a mapping");
        assert_eq!(own.field("exe"), Some(Field::ProcessExecutable));
        assert_eq!(own.field("Image"), None);
        let error = Mapping::parse("[fields]\nexe = \"process.exe\"\n").expect_err("no field");
        assert_eq!(error.message, "no such process field: process.exe");
        assert_eq!(error.span, 15..28);
    }
}

//! `"module:Class"`: the way of a worker to its adapter.

use super::{AdapterSource, SourceKind};
use crate::error::Error;

impl AdapterSource {
    /// Reads `"module:Class"`; dots in the class are nesting.
    ///
    /// # Errors
    /// [`Error::Config`] with the form that was meant, most likely.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            let message = "it is needed, as \"module:Class\"".into();
            return Err(Error::Config { field: "adapter", message });
        }
        let parts = text.split_once(':').filter(|(module, name)| dotted(module) && dotted(name));
        let Some((module, qualname)) = parts else {
            let guess = match text.rsplit_once('.') {
                Some((module, name)) if dotted(text) => Some(format!("{module}:{name}")),
                _ if dotted(text) => Some(format!("{text}:Class")),
                _ => without_suffix(text),
            };
            let guess =
                guess.map_or_else(String::new, |guess| format!("; did you mean {guess:?}?"));
            let message = format!("{text:?} has not the form \"module:Class\"{guess}");
            return Err(Error::Config { field: "adapter", message });
        };
        if matches!(module, "__main__" | "__mp_main__" | "__snakepit_main__") {
            let message = format!("{module} is no module of its own; put the class into a file");
            return Err(Error::Config { field: "adapter", message });
        }
        let (location, qualname) = (module.to_owned(), qualname.to_owned());
        Ok(Self { kind: SourceKind::Module, location, qualname })
    }
}

/// What was meant by `"folder/file.py:Class"`, if it was that.
fn without_suffix(text: &str) -> Option<String> {
    let (file, name) = text.split_once(':')?;
    let module = file.strip_suffix(".py")?.replace('/', ".");
    (dotted(&module) && dotted(name)).then(|| format!("{module}:{name}"))
}

/// Names as Python has them, near enough: it knows more letters, and says so itself.
pub(super) fn dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut letters = part.chars();
        letters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
            && letters.all(|letter| letter == '_' || letter.is_alphanumeric())
    })
}

/// Whether a keyword of `__init__` can have this name.
pub(crate) fn is_name(text: &str) -> bool {
    dotted(text) && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        AdapterSource::parse(text).expect_err("a wrong form").to_string()
    }

    #[test]
    fn a_module_and_a_class_are_told_apart() {
        let source = AdapterSource::parse("my_app.adapters:Outer.Model").expect("the right form");
        assert_eq!(source.kind, SourceKind::Module);
        assert_eq!(source.location, "my_app.adapters");
        assert_eq!(source.qualname, "Outer.Model");
    }

    #[test]
    fn a_wrong_form_gets_the_right_one() {
        assert!(refusal("my_app.Model").contains("did you mean \"my_app:Model\"?"));
        assert!(refusal("adapters").contains("did you mean \"adapters:Class\"?"));
        assert!(refusal("a/b.py:Words").contains("did you mean \"a.b:Words\"?"));
        assert_eq!(refusal(""), "adapter: it is needed, as \"module:Class\"");
        for text in ["", "Model", "a:b:c", "a/b.py:Model", "a:", ":b", "1a:b", "a..b:c"] {
            assert!(refusal(text).contains("\"module:Class\""), "{text}");
        }
        assert!(refusal("__main__:Model").contains("put the class into a file"));
    }
}

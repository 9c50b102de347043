//! Writes settings as the text of a TOML file.

use toml::{Table, Value};

use super::import::Import;

impl Import {
    /// Returns the text of a TOML file with the same settings. The remarks stand at its beginning.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for remark in self.remarks() {
            text.push_str(&format!("# {}\n", remark.replace('\n', " ")));
        }
        write_table("", self.table(), &mut text);
        text
    }
}

fn write_table(name: &str, table: &Table, text: &mut String) {
    let is_inner = |value: &Value| value.is_table();
    if !name.is_empty() && table.values().any(|value| !is_inner(value)) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("[{name}]\n"));
    }
    for (key, value) in table.iter().filter(|(_, value)| !is_inner(value)) {
        text.push_str(&format!("{key} = {}\n", shown(value)));
    }
    for (key, value) in table {
        if let Value::Table(inner) = value {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            write_table(&name, inner, text);
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        // A JSON text is a TOML text too, but for this character.
        Value::String(text) => {
            serde_json::Value::from(text.as_str()).to_string().replace('\u{7f}', "\\u007F")
        }
        Value::Array(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(value) => value.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Table(_) => String::new(),
    }
}

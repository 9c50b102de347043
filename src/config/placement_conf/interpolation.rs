//! Replaces the names of other options in a value, such as `$state_path` and `${api.auth_strategy}`, as oslo.config does.

/// Replaces each `$name` and `${name}` in `text` by the value that `value_of` returns. A name has letters, digits, `_`
/// and dots. A dollar sign itself is written `$$` or `\$`. A dollar sign before anything else stays.
pub(super) fn interpolate<E>(
    text: &str,
    mut value_of: impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let text = text.replace("\\$", "$$");
    let mut done = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            done.push('$');
            rest = after;
            continue;
        }
        let (inner, is_braced) = rest.strip_prefix('{').map_or((rest, false), |inner| (inner, true));
        let name = name_at_start(inner);
        let after = &inner[name.len()..];
        match (name, is_braced, after.strip_prefix('}')) {
            ("", _, _) | (_, true, None) => done.push('$'),
            (name, true, Some(after)) => {
                done.push_str(&value_of(name)?);
                rest = after;
            }
            (name, false, _) => {
                done.push_str(&value_of(name)?);
                rest = after;
            }
        }
    }
    done.push_str(rest);
    Ok(done)
}

fn name_at_start(text: &str) -> &str {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let ends = |c: char| !(is_first(c) || c.is_ascii_digit() || c == '.');
    if text.starts_with(is_first) { &text[..text.find(ends).unwrap_or(text.len())] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_values_and_dollar_signs_can_be_kept() {
        for (text, expected) in [
            ("a", Ok("a")),
            ("$x", Ok("<x>")),
            ("${x}y", Ok("<x>y")),
            ("$x.y/$_z1-", Ok("<x.y>/<_z1>-")),
            ("$x.", Ok("<x.>")),
            ("$$x", Ok("$x")),
            ("\\$x", Ok("$x")),
            ("a$", Ok("a$")),
            ("$1 $- ${ ${x", Ok("$1 $- ${ ${x")),
            ("$X", Ok("<X>")),
            ("${no}", Err("no")),
        ] {
            let value = |name: &str| match name {
                "no" => Err("no"),
                name => Ok(format!("<{name}>")),
            };
            assert_eq!(interpolate(text, value), expected.map(str::to_owned), "{text}");
        }
    }
}

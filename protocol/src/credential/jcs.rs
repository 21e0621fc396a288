//! The JSON Canonicalization Scheme (RFC 8785).
//!
//! ```text
//! {"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}
//! ```
//!
//! `Json` already holds names in order and numbers as doubles, so writing is one pass.

use crate::credential::json::{Json, Number, Object};

/// Returns the canonical form.
pub fn to_string(value: &Json) -> String {
    let mut out = String::with_capacity(1024);
    write(value, &mut out);
    out
}

/// Returns the canonical form of an object.
pub fn object_to_string(object: &Object) -> String {
    let mut out = String::with_capacity(1024);
    write_object(object, &mut out);
    out
}

/// Appends the canonical form to `out`. The recursion is as deep as the value, which its reader bounds.
pub fn write(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => write_number(*number, out),
        Json::String(text) => write_string(text, out),
        Json::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        Json::Object(object) => write_object(object, out),
    }
}

fn write_object(object: &Object, out: &mut String) {
    out.push('{');
    for (at, (name, value)) in object.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

/// Writes a number as ECMAScript does (RFC 8785 §3.2.2.3).
fn write_number(number: Number, out: &mut String) {
    // An integral double is an integer already, so that -0 has become 0 (ECMA-262 Number::toString).
    out.push_str(ryu_js::Buffer::new().format_finite(number.as_f64()));
}

/// Writes a string with the escapes of RFC 8785 §3.2.2.2 and no others.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x09 => "\\t",
            0x0a => "\\n",
            0x0c => "\\f",
            0x0d => "\\r",
            0..=0x1f => "\\u00",
            _ => continue,
        };
        out.push_str(text.get(plain_from..at).unwrap_or_default());
        out.push_str(escape);
        if escape == "\\u00" {
            for digit in [byte >> 4, byte & 0xf] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        plain_from = at + 1;
    }
    out.push_str(text.get(plain_from..).unwrap_or_default());
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_example_of_rfc_8785() {
        let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let expected = "{\"literals\":[null,true,false],\
            \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
            \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(to_string(&Json::parse(text.as_bytes()).expect("JSON")), expected);
    }

    #[test]
    fn orders_names_as_rfc_8785_does() {
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
            "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let value = Json::parse(text.as_bytes()).expect("JSON");
        let names: Vec<&str> = value.as_object().expect("an object").iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["\r", "1", "\u{80}", "ö", "€", "😀", "\u{fb33}"]);
    }

    #[test]
    fn writes_numbers_as_ecmascript_does() {
        for (text, expected) in [
            ("-0.0", "0"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("9007199254740991", "9007199254740991"),
            ("-1.5e300", "-1.5e+300"),
        ] {
            assert_eq!(to_string(&Json::parse(text.as_bytes()).expect("a number")), expected);
        }
    }

    #[test]
    fn leaves_delete_and_line_separators_raw() {
        assert_eq!(to_string(&Json::from("\u{7f}\u{2028}\u{8}\u{1f}")), "\"\u{7f}\u{2028}\\b\\u001f\"");
    }
}

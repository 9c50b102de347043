//! Tests of joined rows.

use super::*;

#[test]
fn lines_are_taken_apart() {
    let lines = |text: &str| {
        let lines = JoinedRows { generation: Generation::new(1), text: text.to_owned(), newest: None };
        lines.iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(""), [""; 0]);
    assert_eq!(lines("CUSTOM_A"), ["CUSTOM_A"]);
    assert_eq!(lines("HW_CPU_X86_VMX\nCUSTOM_A"), ["HW_CPU_X86_VMX", "CUSTOM_A"]);
}

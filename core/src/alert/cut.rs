//! Bounds what an alert copies.

/// The characters of `text` that fit into `limit` bytes.
#[inline(never)]
pub(super) fn cut_text(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// The items of `text` that fit into `limit` bytes: half an id or half an address would be another one.
pub(super) fn cut_items(text: &str, separator: u8, limit: usize) -> &str {
    let head = cut_text(text, limit);
    if head.len() == text.len() || text.as_bytes().get(head.len()) == Some(&separator) {
        return head;
    }
    let end = head.bytes().rposition(|byte| byte == separator);
    head.get(..end.unwrap_or(0)).unwrap_or("")
}

/// The first components of a directory, slash included, that fit into `limit` bytes.
#[inline(never)]
pub(super) fn cut_directory(directory: &[u8], limit: usize) -> &[u8] {
    match directory.get(..limit) {
        Some(head) if directory.len() > limit => {
            match head.iter().rposition(|&byte| byte == b'/') {
                Some(slash) => &head[..=slash],
                None => b"",
            }
        }
        _ => directory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_whole() {
        assert_eq!(cut_items("TA0002 T1059", b' ', 12), "TA0002 T1059");
        assert_eq!(cut_items("TA0002 T1059", b' ', 11), "TA0002");
        assert_eq!(cut_items("TA0002 T1059", b' ', 6), "TA0002");
        assert_eq!(cut_items("TA0002 T1059", b' ', 5), "");
        assert_eq!(cut_items("a b, c d", b',', 7), "a b");
        assert_eq!(cut_items("\u{e4} \u{e4}\u{e4}", b' ', 6), "\u{e4}");
    }

    #[test]
    fn a_directory_is_cut_at_a_slash() {
        assert_eq!(cut_directory(b"/ab/cd/", 8), b"/ab/cd/");
        assert_eq!(cut_directory(b"/ab/cd/", 7), b"/ab/cd/");
        assert_eq!(cut_directory(b"/ab/cd", 6), b"/ab/cd");
        assert_eq!(cut_directory(b"/ab/cd/", 6), b"/ab/");
        assert_eq!(cut_directory(b"/ab/cd/", 3), b"/");
        assert_eq!(cut_directory(b"ab/cd/", 2), b"");
    }
}

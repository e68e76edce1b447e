//! The page that a new site shows until its owner brings files.

/// A complete HTML page, without scripts, that names `site` (a domain or an address).
pub(super) fn welcome(site: &str) -> String {
    include_str!("welcome.html").replace("{site}", &escape(site))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_markup_in_it_stays_text() {
        let page = welcome("<script>alert('a & b')</script>");

        assert!(page.contains("&lt;script&gt;alert(&#39;a &amp; b&#39;)&lt;/script&gt;"));
        assert!(!page.contains("<script"));
    }
}

//! Ids within texts, as links to what they name.

use super::answer::encoded;

/// Where what an id names is shown; `None` for a text that is no id.
pub(super) fn page_of(id: &str) -> Option<String> {
    const PAGES: [(&str, &str); 5] = [
        ("ord_", "/console/orders/"),
        ("acc_", "/console/accounts/"),
        ("job_", "/console/jobs/"),
        ("mail_", "/console/mails/"),
        ("plan_", "/console/sweeps/accounts#"),
    ];
    const OF_STRIPE: [&str; 10] = ["evt_", "cs_", "pi_", "cus_", "re_", "pyr_", "du_", "dp_", "ch_", "pm_"];
    // An id of ours has 26 letters after its prefix.
    let of_ours = PAGES.iter().find(|(prefix, _)| id.len() == prefix.len() + 26 && id.starts_with(prefix));
    if let Some((_, page)) = of_ours {
        return Some(format!("{page}{id}"));
    }
    if is_uuid(id) {
        return Some(format!("/console/customers/{id}"));
    }
    let of_stripe = OF_STRIPE.iter().any(|prefix| id.len() > prefix.len() + 3 && id.starts_with(prefix));
    of_stripe.then(|| format!("/console/search?q={}", encoded(id)))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

/// An id as it is told apart at a glance: what it is of, and its end.
pub(super) fn short(id: &str) -> String {
    if is_uuid(id) {
        return format!("{}…", id.get(..8).unwrap_or(id));
    }
    let Some((prefix, rest)) = id.split_once('_').filter(|(_, rest)| rest.len() > 12 && rest.is_ascii()) else {
        return id.to_owned();
    };
    format!("{prefix}_…{}", rest.get(rest.len() - 7..).unwrap_or(rest))
}

/// A text in HTML, its ids as links; short, but for those within a command, which is copied.
pub(super) fn linked(text: &str) -> String {
    html(text, false)
}

/// A text in HTML, its ids as links, at their whole length.
pub(super) fn whole(text: &str) -> String {
    html(text, true)
}

fn html(text: &str, whole: bool) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    let mut rest = text;
    let mut in_command = false;
    while !rest.is_empty() {
        let word = rest.find(|letter: char| !is_of_an_id(letter)).unwrap_or(rest.len());
        let (id, after) = rest.split_at(word);
        match page_of(id) {
            Some(page) if whole || in_command => html.push_str(&link("id whole", &page, id, id)),
            Some(page) => html.push_str(&anchor(&page, id)),
            None => html.push_str(&escaped(id)),
        }
        let gap = after.find(is_of_an_id).unwrap_or(after.len());
        let (between, next) = after.split_at(gap);
        html.push_str(&escaped(between));
        in_command ^= between.matches('`').count() % 2 == 1;
        rest = next;
    }
    html
}

/// An id as a link, or as what it is.
pub(super) fn anchor(page: &str, id: &str) -> String {
    link("id", page, id, &short(id))
}

fn link(class: &str, page: &str, id: &str, shown: &str) -> String {
    let (page, id, shown) = (escaped(page), escaped(id), escaped(shown));
    format!("<a class=\"{class}\" href=\"{page}\" title=\"{id}\">{shown}</a>")
}

const fn is_of_an_id(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "job_01k9z3m6sne5y8r7q2w4x6t8va";

    #[test]
    fn an_id_in_a_text_leads_to_what_it_names() {
        assert_eq!(
            linked(&format!("Job {JOB} (send_mail) failed: <b>")),
            format!(
                "Job <a class=\"id\" href=\"/console/jobs/{JOB}\" title=\"{JOB}\">job_…4x6t8va</a> (send_mail) failed: \
                 &lt;b&gt;"
            )
        );
    }

    #[test]
    fn an_id_within_a_command_is_whole_because_it_is_copied() {
        let html = linked(&format!("{JOB} is dead. Then `berth jobs retry {JOB}`, and {JOB} runs."));

        assert_eq!(html.matches(&format!(">{JOB}</a>")).count(), 1, "{html}");
        assert_eq!(html.matches(">job_…4x6t8va</a>").count(), 2, "{html}");
        assert!(
            html.contains(&format!("berth jobs retry <a class=\"id whole\" href=\"/console/jobs/{JOB}\"")),
            "{html}"
        );
    }

    #[test]
    fn what_is_no_id_stays_text() {
        for text in ["order_history", "job_short", "ord_", "a-b", "cs_x", "<script>alert('x')</script>", "ö_ä"] {
            assert!(!linked(text).contains("<a "), "{text}");
            assert!(!linked(text).contains("<script"), "{text}");
        }
    }

    #[test]
    fn ids_of_stripe_and_of_customers_are_links_as_well() {
        assert!(linked("evt_1abcDEF").contains("href=\"/console/search?q=evt_1abcDEF\""));
        let customer = "6f1b2a3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c";
        assert!(linked(customer).contains(&format!("href=\"/console/customers/{customer}\"")));
    }
}

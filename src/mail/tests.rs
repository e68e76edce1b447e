mod accounts;
mod changes;
mod claims;
mod payments;
mod renewals;

use std::fs;

use serde_json::json;
use tempfile::tempdir;

use super::{Mail, OrderConfirmation, RenderError, Rendered, Renderer, Welcome, sample};

fn render(mail: &Mail) -> Rendered {
    Renderer::new(None).unwrap().render(mail, &sample::shop()).unwrap()
}

fn order_confirmation() -> Mail {
    Mail::OrderConfirmation(sample::order_confirmation())
}

fn welcome() -> Mail {
    Mail::Welcome(sample::welcome())
}

/// Starts with one template of the operator's own.
fn start_with(file: &str, source: &str) -> Result<Renderer, super::TemplateError> {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join(file), source).unwrap();
    Renderer::new(Some(dir.path()))
}

#[test]
fn a_mail_is_stored_as_json_and_reads_back() {
    for mail in sample::mails() {
        let stored = serde_json::to_value(&mail).unwrap();

        assert_eq!(stored["kind"], mail.kind());
        assert!(Mail::KINDS.contains(&mail.kind()));
        assert_eq!(serde_json::from_value::<Mail>(stored).unwrap(), mail);
    }
    insta::assert_json_snapshot!("wire", [order_confirmation(), welcome()]);
}

#[test]
fn a_mail_is_owed_once_per_order_or_account() {
    assert_eq!(
        order_confirmation().dedupe_key(),
        format!("order_confirmation:{}", sample::order_confirmation().order_id)
    );
    assert_eq!(welcome().dedupe_key(), format!("welcome:{}", sample::welcome().account_id));
}

#[test]
fn the_order_confirmation_reads_well() {
    let rendered = render(&order_confirmation());

    insta::assert_snapshot!(rendered.subject, @"Your order at Harbour Hosting: 14.98 EUR paid");
    insta::assert_snapshot!(rendered.text, @r#"
    Hello Ada Lovelace,

    thank you for your order. Your payment of 14.98 EUR arrived on
    1 January 2026 at 00:00 UTC. We are setting up your hosting now and will write
    again when it is ready.

    Order ord_01k8000000e008000000000001

    - Shared Hosting, monthly: 9.99 EUR
    - 2 x Backups: 4.00 EUR

    Subtotal: 13.99 EUR
    Discount: -1.40 EUR
    Tax: 2.39 EUR
    Total: 14.98 EUR

    See your order:
    https://harbour.example/orders/ord_1?from=mail&lang=en

    -- 
    Harbour Hosting - https://harbour.example
    Questions? Write to help@harbour.example.
    "#);
    insta::assert_snapshot!("order_confirmation_html", rendered.html);
}

#[test]
fn the_welcome_reads_well() {
    let rendered = render(&welcome());

    insta::assert_snapshot!(rendered.subject, @"Shared Hosting is ready: adalove1");
    insta::assert_snapshot!(rendered.text, @r#"
    Hello Ada Lovelace,

    your Shared Hosting is ready.

    Your site:      https://adalove1.harbour.example
    User name:      adalove1
    Control panel:  https://panel.harbour.example:2083
    Paid until:     1 February 2026

    Password: we never send it by mail. For three days this page shows it to
    you, once; after that you can have a new one there:
    https://harbour.example/hosting/acc_1/reveal

    To use your own domain, set these name servers at your registrar:
    - ns1.harbour.example
    - ns2.harbour.example

    -- 
    Harbour Hosting - https://harbour.example
    Questions? Write to help@harbour.example.
    Account acc_01k8000000e008000000000001
    "#);
    insta::assert_snapshot!("welcome_html", rendered.html);
}

#[test]
fn the_notices_of_an_account_read_well() {
    for mail in sample::mails().into_iter().filter(|mail| mail.awaited_by().is_some()) {
        let rendered = render(&mail);
        let whole = if matches!(&mail, Mail::RenewalInvoice(it) | Mail::RenewalReminder(it) if it.step.is_some()) {
            rendered.html
        } else {
            String::new()
        };
        let missing = if rendered.text.contains("Ada") { "" } else { "_short" };
        let text = format!("{}\n\n{}\n{whole}", rendered.subject, rendered.text);
        insta::assert_snapshot!(format!("{}{missing}", mail.kind()), text);
    }
}

#[test]
fn what_is_missing_leaves_no_hole() {
    let mails = sample::mails();

    insta::assert_snapshot!(render(&mails[1]).text, @r#"
    Hello,

    thank you for your order. Your payment of 14.98 EUR arrived on
    1 January 2026 at 00:00 UTC. We are setting up your hosting now and will write
    again when it is ready.

    Order ord_01k8000000e008000000000001


    Subtotal: 13.99 EUR
    Total: 14.98 EUR

    See your order:
    https://harbour.example/orders/ord_1?from=mail&lang=en

    -- 
    Harbour Hosting - https://harbour.example
    Questions? Write to help@harbour.example.
    "#);
    insta::assert_snapshot!(render(&mails[3]).text, @r#"
    Hello,

    your Shared Hosting is ready.

    Your site:      https://adalove1.harbour.example
    User name:      adalove1
    Paid until:     1 February 2026

    Password: we never send it by mail. For three days this page shows it to
    you, once; after that you can have a new one there:
    https://harbour.example/hosting/acc_1/reveal

    -- 
    Harbour Hosting - https://harbour.example
    Questions? Write to help@harbour.example.
    Account acc_01k8000000e008000000000001
    "#);
}

#[test]
fn nothing_is_fetched_when_a_mail_is_opened() {
    for mail in sample::mails() {
        let html = render(&mail).html;

        for fetched in ["<img", "@import", "rel=\"stylesheet\"", "url("] {
            assert!(!html.contains(fetched), "{fetched} in {}", mail.kind());
        }
    }
}

#[test]
fn a_name_with_markup_is_inert() {
    let evil =
        r#"<script>alert(1)</script></mj-text></mj-body>{{ shop.name }}{% raw %}<!-- --> <![endif]--> "x' onclick="#;
    let mails = [
        Mail::OrderConfirmation(OrderConfirmation {
            customer_name: Some(evil.into()),
            currency: evil.into(),
            lines: vec![super::OrderLine { name: evil.into(), quantity: 3, amount: evil.into() }],
            ..sample::order_confirmation()
        }),
        Mail::Welcome(Welcome {
            customer_name: Some(evil.into()),
            service_name: evil.into(),
            username: evil.into(),
            nameservers: vec![evil.into()],
            ..sample::welcome()
        }),
    ];
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;/mj-text&gt;&lt;/mj-body&gt;{{ shop.name }}{% raw %}&lt;!-- --&gt; \
                   &lt;![endif]--&gt; &quot;x&#39; onclick=";
    for mail in mails {
        let rendered = render(&mail);

        assert!(rendered.html.contains(escaped), "{}", rendered.html);
        assert!(!rendered.html.contains("<script"), "{}", mail.kind());
        assert!(!rendered.html.contains("</mj-"), "{}", mail.kind());
        assert!(!rendered.html.contains("\"x'"), "{}", mail.kind());
        assert!(rendered.text.contains(evil), "text needs no escape");
    }
}

#[test]
fn a_link_with_a_quote_stays_in_its_attribute() {
    let url = "https://x.example/?q=\"><script>";
    let mail = Mail::OrderConfirmation(OrderConfirmation { order_url: url.into(), ..sample::order_confirmation() });

    let html = render(&mail).html;

    assert!(html.contains("href=\"https://x.example/?q=&quot;&gt;&lt;script&gt;\""));
    assert!(!html.contains("<script"));
}

#[test]
fn a_link_that_runs_code_is_refused() {
    for link in ["javascript:alert(1)", "data:text/html,x", "", "//x.example", " JavaScript:alert(1)"] {
        let mail = Mail::Welcome(Welcome { reveal_url: link.into(), ..sample::welcome() });

        let refused = Renderer::new(None).unwrap().render(&mail, &sample::shop());

        assert_eq!(refused, Err(RenderError::NotALink { field: "reveal_url", link: link.into() }));
    }
}

#[test]
fn a_name_cannot_write_lines_of_its_own() {
    let evil = "Ada\r\nBcc: all@example.com\n\nPay here: \u{2028}x\u{202e}y\u{0}\u{85}z";
    let mail = Mail::Welcome(Welcome { service_name: evil.into(), ..sample::welcome() });

    let rendered = render(&mail);

    let flat = "Ada  Bcc: all@example.com  Pay here:  xy  z";
    assert_eq!(rendered.subject, format!("{flat} is ready: adalove1"));
    assert!(rendered.text.contains(&format!("your {flat} is ready.")), "{}", rendered.text);
}

#[test]
fn no_mail_has_a_field_for_a_password() {
    let stored = json!([order_confirmation(), welcome()]).to_string();

    assert!(!stored.contains("password"));
}

#[test]
fn an_operators_template_replaces_the_built_in_one() {
    let renderer = start_with("welcome.subject.j2", "\nBienvenue {{ username }}\n").unwrap();

    let rendered = renderer.render(&welcome(), &sample::shop()).unwrap();

    assert_eq!(rendered.subject, "Bienvenue adalove1");
    assert_eq!(rendered.text, render(&welcome()).text);
}

#[test]
fn an_operators_footer_is_in_every_mail() {
    let footer = "<mj-section><mj-column><mj-text>Imprint of {{ shop.name }}</mj-text></mj-column></mj-section>";
    let renderer = start_with("footer.mjml.j2", footer).unwrap();

    for mail in sample::mails() {
        let html = renderer.render(&mail, &sample::shop()).unwrap().html;

        assert!(html.contains("Imprint of Harbour Hosting"), "{}", mail.kind());
    }
}

#[test]
fn a_broken_template_stops_the_start_with_file_line_and_reason() {
    let page = |body: &str| format!("<mjml>\n<mj-body>\n{body}\n</mj-body>\n</mjml>");
    let text =
        |body: &str| page(&format!("<mj-section><mj-column><mj-text>\n{body}\n</mj-text></mj-column></mj-section>"));
    let cases = [
        ("welcome.txt.j2", "Hello\n{% if x %}".to_owned()),
        ("welcome.txt.j2", "Hello\n\n{{ customer_nam }}".to_owned()),
        ("welcome.txt.j2", "{{ expires_at|weekday }}".to_owned()),
        ("welcome.txt.j2", "{{ username|date }}".to_owned()),
        ("welcome.subject.j2", "  \n".to_owned()),
        ("welcome.mjml.j2", text("{{ customer_nam }}")),
        ("welcome.mjml.j2", text("{{ username|safe }}")),
        ("welcome.mjml.j2", text("{% autoescape false %}{{ username }}{% endautoescape %}")),
        ("welcome.mjml.j2", page("<mj-txt>x</mj-txt>")),
        ("welcome.mjml.j2", page("<mj-section>")),
        ("welcome.mjml.j2", page("<mj-include path='secrets.mjml' />")),
        ("welcome.mjml.j2", page("<mj-section mj-class='{{ username }}'></mj-section>")),
        ("welcome.mjml.j2", "<p>Hello</p>".to_owned()),
        (
            "welcome.mjml.j2",
            "<mjml><mj-head><mj-preview>{% if username %}a{% endif %}</mj-preview>\
             <mj-title>{% if site_url %}b{% endif %}</mj-title></mj-head><mj-body></mj-body></mjml>"
                .to_owned(),
        ),
        ("head.mjml.j2", "<mj-raw>\n{{ nobody }}</mj-raw>".to_owned()),
        ("head.mjml.j2", "\n<mj-sty></mj-sty>".to_owned()),
        (
            "footer.mjml.j2",
            "<mj-section><mj-column><mj-text>{% if 1 %}x{% endif %}</mj-text></mj-column></mj-section>".to_owned(),
        ),
        ("welcom.txt.j2", "Hello".to_owned()),
    ];
    let mut said = String::new();
    for (file, source) in cases {
        match start_with(file, &source) {
            Ok(_) => said.push_str(&format!("{file} is accepted: {source:?}\n")),
            // The names of all files follow.
            Err(error) => said.push_str(&format!("{}\n", error.to_string().split("; the names are ").next().unwrap())),
        }
    }
    insta::assert_snapshot!(said, @r#"
    mail template welcome.txt.j2, line 2: syntax error: unexpected end of input, expected end of block
    mail template welcome.txt.j2, line 3: undefined value: `customer_nam` is undefined
    mail template welcome.txt.j2, line 1: unknown filter: filter weekday is unknown
    mail template welcome.txt.j2, line 1: invalid operation: "adalove1" is no instant
    mail template welcome.subject.j2: the subject is empty
    mail template welcome.mjml.j2, line 4: undefined value: `customer_nam` is undefined
    mail template welcome.mjml.j2, line 4: unknown filter: filter safe is unknown
    mail template welcome.mjml.j2, line 4: values are always escaped
    mail template welcome.mjml.j2, line 3: <mj-txt> is no element of MJML
    mail template welcome.mjml.j2: ends before its last element is closed
    mail template welcome.mjml.j2, line 3: only footer.mjml.j2 and head.mjml.j2 can be included
    mail template welcome.mjml.j2, line 3: MJML does not keep {{ username }} where it stands
    mail template welcome.mjml.j2, line 1: text or a tag where MJML expects an element (is one outside <mj-text>, <mj-table> or <mj-raw>?)
    mail template welcome.mjml.j2: MJML does not keep the {% … %} tags in their order
    mail template head.mjml.j2, line 2: undefined value: `nobody` is undefined
    mail template head.mjml.j2, line 2: this element is not known here
    mail template footer.mjml.j2, line 1: {% if 1 %} is for pages: a shared part may only have {{ … }}
    mail template welcom.txt.j2: no mail uses this file
    "#);
}

#[test]
fn a_missing_directory_stops_the_start() {
    let dir = tempdir().unwrap();

    let refused = Renderer::new(Some(&dir.path().join("none")));

    assert!(refused.err().unwrap().to_string().contains("none"));
}

use super::*;

#[test]
fn a_domain_name_is_kept_in_lower_case() {
    for (text, name) in [
        ("example.com", "example.com"),
        (" Shop.Example.COM. ", "shop.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a-b.c1.museum", "a-b.c1.museum"),
        ("1and1.com", "1and1.com"),
        ("4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa"),
    ] {
        assert_eq!(text.parse::<DomainName>().unwrap().as_str(), name);
    }
}

#[test]
fn what_is_no_domain_name_is_refused() {
    for (text, refusal) in [
        ("", InvalidDomainName::Length),
        (".", InvalidDomainName::Length),
        ("localhost", InvalidDomainName::OnePart),
        ("example..com", InvalidDomainName::Part),
        (".example.com", InvalidDomainName::Part),
        ("example.com..", InvalidDomainName::Part),
        ("-example.com", InvalidDomainName::Part),
        ("example-.com", InvalidDomainName::Part),
        ("exa_mple.com", InvalidDomainName::Part),
        ("exa mple.com", InvalidDomainName::Part),
        ("bücher.example", InvalidDomainName::Part),
        ("*.example.com", InvalidDomainName::Part),
        ("http://example.com", InvalidDomainName::Part),
        ("example.com/path", InvalidDomainName::Part),
        ("example.com:80", InvalidDomainName::Part),
        ("example.com\0", InvalidDomainName::Part),
        ("exam\nple.com", InvalidDomainName::Part),
        ("::1", InvalidDomainName::Part),
        ("192.0.2.1", InvalidDomainName::Address),
        ("192.0.2.1.", InvalidDomainName::Address),
        ("127.1", InvalidDomainName::Address),
        ("0x7f.0x1", InvalidDomainName::Address),
        ("example.123", InvalidDomainName::Address),
    ] {
        assert_eq!(text.parse::<DomainName>(), Err(refusal), "{text:?}");
    }
}

#[test]
fn a_name_and_its_parts_have_longest_lengths() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));

    assert_eq!(longest.len(), 253);
    assert!(longest.parse::<DomainName>().is_ok());
    assert_eq!(format!("{longest}b").parse::<DomainName>(), Err(InvalidDomainName::Length));
    assert_eq!(format!("a{label}.com").parse::<DomainName>(), Err(InvalidDomainName::Part));
}

#[test]
fn a_name_lies_within_itself_and_what_it_ends_in_by_whole_parts() {
    let name: DomainName = "shop.example.com".parse().unwrap();

    assert!(name.is_within("example.com") && name.is_within("shop.example.com") && name.is_within("com"));
    assert!(
        !name.is_within("hop.example.com") && !name.is_within("ample.com") && !name.is_within("www.shop.example.com")
    );
}

#[test]
fn a_name_is_checked_when_it_is_read() {
    assert_eq!(serde_json::from_str::<DomainName>("\"Example.com\"").unwrap().to_string(), "example.com");
    assert!(serde_json::from_str::<DomainName>("\"example\"").is_err());
    assert_eq!(serde_json::to_value("example.com".parse::<DomainName>().unwrap()).unwrap(), "example.com");
}

//! The alerts, the runbook and the table of series, beside each other and beside what a process shows.

use super::*;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// An alert of config/alerts.yml.
#[derive(Default)]
struct Rule {
    expression: String,
    runbook: String,
    severity: String,
}

/// The file is written in one shape, a key a line.
fn rules() -> BTreeMap<String, Rule> {
    let (text, mut rules, mut name) = (read("config/alerts.yml"), BTreeMap::<String, Rule>::new(), String::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            name = alert.to_owned();
            assert!(rules.insert(name.clone(), Rule::default()).is_none(), "{name} twice");
        }
        let Some(rule) = rules.get_mut(&name) else { continue };
        if let Some(expression) = line.strip_prefix("expr: ") {
            rule.expression = expression.trim_matches('\'').to_owned();
        } else if let Some(runbook) = line.strip_prefix("runbook: ") {
            rule.runbook = runbook.to_owned();
        } else if let Some(severity) = line.strip_prefix("severity: ") {
            rule.severity = severity.to_owned();
        }
    }
    rules
}

/// The series that an expression names, each with the labels that it asks for.
fn series_in(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for prefix in ["berth_", "process_"] {
        for (at, _) in expression.match_indices(prefix) {
            if expression[..at].chars().next_back().is_some_and(is_word) {
                continue;
            }
            let rest = &expression[at..];
            let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
            let asked =
                rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(asked, _)| asked);
            let labels = asked.split(',').filter_map(|matcher| matcher.split(['=', '!']).next());
            let labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect();
            found.push((rest[..end].to_owned(), labels));
        }
    }
    found
}

/// The family that a series is of: a histogram's buckets are of the histogram.
fn family_of(series: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end)).unwrap_or(series)
}

/// What the dashboard asks for, by the title of its panel.
fn of_dashboard() -> Vec<(String, String)> {
    let dashboard: serde_json::Value = serde_json::from_str(&read("config/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(move |it| (panel, it)));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    targets.map(|(panel, target)| (text(&panel["title"]), text(&target["expr"]))).collect()
}

#[test]
fn every_alert_has_a_section_of_the_runbook_that_says_what_to_do() {
    let (rules, runbook) = (rules(), read("docs/runbook.md"));
    let sections: BTreeMap<&str, &str> =
        runbook.split("\n### ").skip(1).filter_map(|section| section.split_once('\n')).collect();

    assert!(rules.len() > 30);
    assert_eq!(rules.keys().map(String::as_str).collect::<BTreeSet<_>>(), sections.keys().copied().collect());
    for (name, rule) in &rules {
        assert_eq!(rule.runbook, format!("docs/runbook.md#{}", name.to_lowercase()));
        assert!(["critical", "warning", "info"].contains(&rule.severity.as_str()), "{name}: {}", rule.severity);
        for part in ["**Means:**", "**Customers notice:**", "**Look:**", "**Mend:**", "**Wait:**"] {
            assert!(sections[name.as_str()].contains(part), "{name} lacks {part}");
        }
    }
    let headings: BTreeSet<String> = sections.keys().map(|name| name.to_lowercase()).collect();
    for link in runbook.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
        assert!(headings.contains(link), "the runbook links to #{link}");
    }
}

#[test]
fn every_alert_has_a_test_of_its_own() {
    let tests = read("tests/alerts.yml");

    for name in rules().keys() {
        let asked = tests.matches(&format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"")).count();
        assert!(asked >= 3, "tests/alerts.yml must show when {name} is quiet and when it fires");
    }
}

#[test]
fn the_documented_series_are_the_programs() {
    let shown: String = FAMILIES
        .iter()
        .map(|family| {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |\n", family.name, family.kind.as_str(), labels.join(" "), family.help)
        })
        .collect();

    let documented = read("docs/metrics.md");

    assert!(documented.contains(&format!("|---|---|---|---|\n{shown}\n")), "docs/metrics.md should show\n{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_that_an_alert_asks_for_is_shown() {
    let stack = Stack::with(StackOptions::default().setting("metrics.token", TOKEN)).await;
    let berth = stack.start().await;
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    let answer = stack.client.get(format!("{}/metrics", stack.base())).bearer_auth(TOKEN).send().await.unwrap();
    let text = answer.text().await.unwrap();

    let shown: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let known: BTreeMap<&str, &[&str]> = FAMILIES.iter().map(|family| (family.name, family.labels)).collect();
    assert_eq!(shown, known.keys().copied().collect());
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let series = line.split(['{', ' ']).next().unwrap();
        assert!(known.contains_key(series) || known.contains_key(family_of(series)), "{line}");
    }
    let of_rules = rules().into_iter().map(|(name, rule)| (name, rule.expression));
    for (name, expression) in of_rules.chain(of_dashboard()) {
        let series = series_in(&expression);
        assert!(!series.is_empty(), "{name} asks for nothing: {expression}");
        for (series, labels) in series {
            let family = family_of(&series);
            let of_family = known.get(family).or_else(|| known.get(series.as_str()));
            let Some(of_family) = of_family else { panic!("{name} asks for {series}, which nobody shows") };
            let is_histogram = FAMILIES.iter().any(|it| it.name == family && matches!(it.kind, Kind::Histogram(_)));
            assert_eq!(series != family, is_histogram, "{name}: {series}");
            for label in labels {
                assert!(of_family.contains(&label.as_str()), "{name}: {series} has no label {label}");
            }
        }
    }
    berth.stop().await;
}

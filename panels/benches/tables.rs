//! What is said of a driver.

use crate::{
    measure::{AT_ONCE, Measured, Millis},
    report::{Report, median, percentile, row},
    server::{Server, Work},
};

/// Adds a driver's tables, and its fields to the line of JSON.
pub(crate) fn add(report: &mut Report, server: &dyn Server, mut measured: Measured) {
    let driver = server.driver();
    report.note(format!("{driver}: {} accounts. By hand: {}.", measured.accounts, server.reference()));
    let mut table = vec![row([driver, "p50 ms", "p95 ms", "by hand, p50 ms", "p95 ms", "times as long (p50)"])];
    for work in Work::ALL {
        let name = work.name();
        let (ours, theirs) = (summed(&mut measured.driver, work), summed(&mut measured.bare, work));
        let Some([p50, p95]) = ours else { continue };
        report.field(&format!("{driver}_{name}_p50_ms"), p50);
        report.field(&format!("{driver}_{name}_p95_ms"), p95);
        let mut cells = vec![name.to_owned(), millis(p50), millis(p95)];
        match theirs {
            Some([bare_p50, bare_p95]) => {
                report.field(&format!("{driver}_{name}_by_hand_p50_ms"), bare_p50);
                cells.extend([millis(bare_p50), millis(bare_p95), format!("{:.2}", p50 / bare_p50)]);
            }
            None => cells.extend(["–", "–", "–"].map(str::to_owned)),
        }
        table.push(cells);
    }
    report.table(table);

    report.field(&format!("{driver}_creates_per_second"), measured.creates_per_second);
    let singly = measured.driver.get(&Work::Create).map_or(f64::NAN, |all| 1e3 / median(all.iter().copied()));
    report.note(format!(
        "{AT_ONCE} creates at once: {:.1} a second; one at a time {singly:.1}.",
        measured.creates_per_second
    ));

    let mut table = vec![row(["memory that an account takes", "kB"])];
    let mut memory = |name: &str, bytes: f64| {
        report.field(&format!("{driver}_{}_bytes", name.replace(['\'', ' ', '-'], "_")), bytes);
        table.push(vec![name.to_owned(), format!("{:.1}", bytes / 1e3)]);
    };
    memory("Berth", measured.own);
    for (name, bytes) in &measured.servers {
        memory(name, *bytes);
    }
    if !measured.servers.is_empty() {
        memory("the server in all", measured.servers.iter().map(|(_, bytes)| bytes).sum());
    }
    report.table(table);
}

fn summed(of: &mut Millis, work: Work) -> Option<[f64; 2]> {
    let all = of.get_mut(&work).filter(|all| !all.is_empty())?;
    Some([percentile(all, 0.5), percentile(all, 0.95)])
}

fn millis(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

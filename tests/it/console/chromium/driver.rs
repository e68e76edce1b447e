//! A headless Chromium, spoken to by its DevTools protocol over a pipe.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Where a Mac keeps applications, which are on no PATH.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
/// A machine that does much else may take long to draw a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// What pages are looked at on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Screen {
    Wide,
    Middle,
    Telephone,
}

impl Screen {
    const fn size(self) -> (u32, u32) {
        match self {
            Self::Wide => (1_280, 900),
            Self::Middle => (1_024, 768),
            Self::Telephone => (390, 844),
        }
    }
}

pub(super) struct Chromium {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    asked: u64,
    complaints: Vec<String>,
    pictures: PathBuf,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts one; `None` where there is none, unless `BERTH_TEST_CHROMIUM` says `required`.
    pub(super) async fn start(pictures: &Path) -> Option<Self> {
        let Some(program) = program() else {
            let required = std::env::var("BERTH_TEST_CHROMIUM").is_ok_and(|wish| wish == "required");
            assert!(!required, "BERTH_TEST_CHROMIUM says `required`, and no Chromium is to be found");
            return None;
        };
        fs::create_dir_all(pictures).unwrap();
        let profile = tempfile::tempdir().unwrap();
        // It reads commands from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let pictures = pictures.to_owned();
        let (session, complaints) = (None, Vec::new());
        let mut this = Self { child, to, from, session, asked: 0, complaints, pictures, _profile: profile };
        let target = this.ask("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = this.ask("Target.attachToTarget", attach).await;
        this.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            this.ask(domain, json!({})).await;
        }
        this.looked_at_on(Screen::Wide).await;
        Some(this)
    }

    pub(super) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }

    /// What it refused to load or run.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.clone()
    }

    /// Goes to an address, and waits until its page is there.
    pub(super) async fn open(&mut self, url: &str) {
        let before = self.born().await;
        self.ask("Page.navigate", json!({ "url": url })).await;
        self.until_another(&before, url).await;
    }

    /// Presses a link or a button, and waits for the page that it leads to.
    pub(super) async fn press(&mut self, selector: &str) {
        let before = self.born().await;
        let pressed = self.evaluate(&format!("{}.click() === undefined", found(selector))).await;
        assert_eq!(pressed, json!(true), "{selector}: {pressed}");
        self.until_another(&before, selector).await;
    }

    pub(super) async fn fill(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!("{}.value = {}", found(selector), json!(text))).await;
    }

    pub(super) async fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("{}.innerText", found(selector))).await;
        text.as_str().unwrap_or_else(|| panic!("{selector}: {text}")).to_owned()
    }

    pub(super) async fn path(&mut self) -> String {
        self.evaluate("location.pathname").await.as_str().unwrap_or_default().to_owned()
    }

    pub(super) async fn looked_at_on(&mut self, screen: Screen) {
        let (width, height) = screen.size();
        let mobile = screen == Screen::Telephone;
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.ask("Emulation.setDeviceMetricsOverride", screen).await;
    }

    pub(super) async fn dark(&mut self) {
        let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.ask("Emulation.setEmulatedMedia", dark).await;
    }

    /// Keeps a picture of the whole page.
    pub(super) async fn picture(&mut self, name: &str) {
        // What lies in a frame is drawn only where somebody could see it.
        self.evaluate(
            "(async () => {
                document.querySelector('iframe')?.scrollIntoView();
                await new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)));
            })()",
        )
        .await;
        let taken = self.ask("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let bytes = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        fs::write(self.pictures.join(format!("{name}.png")), bytes).unwrap();
    }

    pub(super) async fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", asked).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// When the page was begun, which tells one from the next.
    async fn born(&mut self) -> Value {
        self.evaluate("performance.timeOrigin").await
    }

    async fn until_another(&mut self, before: &Value, what: &str) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let asked = json!({ "expression": "document.readyState === 'complete' && performance.timeOrigin" });
            // Between two pages there is none to ask.
            let answer = self.ask("Runtime.evaluate", asked).await;
            let now = &answer["result"]["value"];
            if now.is_number() && now != before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no page came within {} s of {what}", PATIENCE.as_secs());
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut asked = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            asked["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&asked).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answer(self.asked)).await;
        answer.unwrap_or_else(|_| panic!("Chromium did not answer {method}"))
    }

    async fn answer(&mut self, to: u64) -> Value {
        loop {
            let mut bytes = Vec::new();
            let read = self.from.read_until(0, &mut bytes).await.unwrap();
            assert!(read > 0, "Chromium has ended");
            bytes.pop();
            let said: Value = serde_json::from_slice(&bytes).unwrap();
            if said["id"] == to {
                return said.get("result").cloned().unwrap_or(said);
            }
            self.note(&said);
        }
    }

    fn note(&mut self, said: &Value) {
        let entry = &said["params"]["entry"];
        let is_complaint = said["method"] == "Log.entryAdded" && entry["level"] == "error";
        // That a page is not there is one of the pages that are looked at.
        let is_wanted = entry["source"] == "network" && entry["text"].as_str().is_some_and(|text| text.contains("404"));
        if (is_complaint && !is_wanted) || said["method"] == "Runtime.exceptionThrown" {
            self.complaints.push(said["params"].to_string());
        }
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let on_the_path = std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    on_the_path.chain(APPLICATIONS.map(PathBuf::from)).find(|program| program.is_file())
}

fn found(selector: &str) -> String {
    format!("document.querySelector({})", json!(selector))
}

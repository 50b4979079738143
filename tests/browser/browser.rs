//! A browser by remote control: `WebDriver`, which is JSON over HTTP.

use std::{
    env,
    fmt::Write as _,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How long something may take to appear on a page. Generous: a loaded machine is slow.
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) struct Browser {
    driver: Child,
    client: Client,
    session: String,
}

impl Browser {
    pub(crate) async fn open(url: &str) -> Self {
        let program = env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        // A group of its own, to be killed with the browser that it starts; also by the end of the standard input, which comes
        // however this process ends.
        let mut command = Command::new("sh");
        command.args(["-c", "\"$0\" --port=0 </dev/null & read -r _; kill -KILL 0", &program]);
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().expect("there is a shell");
        let output = BufReader::new(driver.stdout.take().expect("it is piped"));
        // "ChromeDriver was started successfully on port 41234."
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            let port = line.split("successfully on port ").nth(1)?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.unwrap_or_else(|| {
            panic!("{program} does not start; Debian has it in chromium-driver, and the browser in chromium")
        });
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { driver, client: Client::builder().build().expect("a client"), session };
        let arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let started = browser.call(Method::POST, "", &capabilities).await;
        let id = started["sessionId"].as_str().expect("a session").to_owned();
        write!(browser.session, "/{id}").expect("a string takes it");
        browser.call(Method::POST, "/url", &json!({ "url": url })).await;
        browser
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.timeout(LIMIT).send().await.expect("the driver answers");
        let answer = answer.bytes().await.expect("the driver answers");
        let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{path} {body}: {value}");
        value
    }

    /// What a function of this body returns in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Waits until this expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        let began = Instant::now();
        while self.run(&format!("return Boolean({expression})")).await != true {
            let is_late = began.elapsed() > LIMIT;
            let says = if is_late { self.text("body").await } else { String::new() };
            assert!(!is_late, "not true in {LIMIT:?}: {expression}, where the page says: {says}");
            sleep(Duration::from_millis(30)).await;
        }
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({selector:?}).innerText")).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// As by the keyboard, into what has the focus. See the code points of `WebDriver` for other keys than letters.
    pub(crate) async fn press(&self, key: &str) {
        let keys = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] });
        self.call(Method::POST, "/actions", &actions).await;
    }

    /// Clicks, and says yes to the question that comes.
    pub(crate) async fn click_and_confirm(&self, selector: &str) {
        self.run(&format!("setTimeout(() => document.querySelector({selector:?}).click())")).await;
        let began = Instant::now();
        loop {
            let accepted = self.client.post(format!("{}/alert/accept", self.session)).body("{}");
            let accepted =
                accepted.header("content-type", "application/json").send().await.expect("the driver answers");
            if accepted.status().is_success() {
                return;
            }
            assert!(began.elapsed() < LIMIT, "no question comes after a click on {selector}");
            sleep(Duration::from_millis(30)).await;
        }
    }

    pub(crate) async fn show_as(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.develop("Emulation.setDeviceMetricsOverride", &size).await;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.develop("Emulation.setEmulatedMedia", &media).await;
    }

    /// The upper part of the page, as a PNG.
    pub(crate) async fn screenshot(&self, width: u32, height: u32) -> Vec<u8> {
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let options = json!({ "captureBeyondViewport": true, "clip": clip });
        let taken = self.develop("Page.captureScreenshot", &options).await;
        STANDARD.decode(taken["data"].as_str().expect("text")).expect("base 64")
    }

    async fn develop(&self, command: &str, parameters: &Value) -> Value {
        self.call(Method::POST, "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// What the page has said to the console: errors of scripts, and what its policy has forbidden.
    pub(crate) async fn complaints(&self) -> Vec<Value> {
        let log = self.call(Method::POST, "/se/log", &json!({ "type": "browser" })).await;
        log.as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The minus is for the group.
        let group = format!("-{}", self.driver.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.driver.wait());
    }
}

//! The token that a command sends, and the source of the next token when the service refuses one.

use std::cell::RefCell;
use std::process::Stdio;
use std::time::Duration;

use allotment::auth::keystone::{Issued, LogIn, NoToken};
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::process::Command;

use super::clock::Moment;
use super::cloud::{Cloud, Endpoint};
use super::failure::Failure;

/// A token is renewed this long before its end. A token with a short life is renewed when a quarter of it is
/// left.
const MARGIN: Duration = Duration::from_secs(60);
/// The pause after a refusal. Keystone locks users out after some wrong passwords.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// The time for which the old token stays in use while the next one is not available.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The age from which a token may lack a role that its user was given since.
const OLD: Duration = Duration::from_secs(30);
/// The longest token that is accepted, in bytes. Real tokens are much shorter.
const LONGEST: usize = 16 << 10;

/// The token of a command, and the source of its tokens.
pub struct Tokens {
    source: Source,
    state: RefCell<State>,
    endpoint: Option<Endpoint>,
}

/// Where the next token comes from.
pub enum Source {
    /// There is no source. The message tells what is missing, if the environment asks for a log-in.
    None(Option<String>),
    /// Keystone issues tokens for these credentials.
    Keystone(Box<LogIn>),
    /// A shell command prints a token.
    Command(String),
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The address of the service in the catalog.
    base: Option<Url>,
    /// The last refusal, and the moment until which it is not asked about again.
    refusal: Option<(Moment, Failure)>,
}

/// A token.
#[derive(Clone)]
pub struct Token {
    value: HeaderValue,
    since: Moment,
    /// The moment at which the next token is fetched; `None` if the token's end is not known.
    renew_at: Option<Moment>,
}

impl Token {
    /// The value of the header, marked as a secret.
    pub fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    fn new(text: &str) -> Option<Token> {
        let mut value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(Token { value, since: Moment::now(), renew_at: None })
    }

    /// A token that Keystone issued. Its life is measured by this host's clock, since Keystone's clock may
    /// differ.
    fn issued(issued: &Issued) -> Token {
        let now = Moment::now();
        let by_ours = issued.expires().duration_since(allotment::clock::now()).ok();
        let lasts = issued.lasts().or(by_ours).filter(|lasts| !lasts.is_zero());
        let renew_at = lasts.and_then(|lasts| now.after(lasts - MARGIN.min(lasts / 4)));
        Token { value: issued.token().clone(), since: now, renew_at }
    }
}

impl Tokens {
    /// The tokens from `source`, after the token that is `given`. With an `endpoint`, the service's address is
    /// looked up in the catalog.
    pub fn new(given: Option<&str>, source: Source, endpoint: Option<Endpoint>) -> Result<Tokens, String> {
        let token = match given {
            Some(given) => Some(
                Token::new(given)
                    .ok_or("the token contains characters that are not allowed in an HTTP header")?,
            ),
            None => None,
        };
        if let (None, Source::None(Some(missing))) = (&token, &source) {
            return Err(missing.clone());
        }
        Ok(Tokens { source, state: RefCell::new(State { token, ..State::default() }), endpoint })
    }

    /// The service's address in the catalog; `None` until a token came with a catalog.
    pub fn base(&self) -> Option<Url> {
        self.state.borrow().base.clone()
    }

    /// The token to send; `None` if there is no source of tokens. A token whose end is near is replaced first.
    pub async fn get(&self) -> Result<Option<Token>, Failure> {
        let known = self.state.borrow().token.clone();
        let lacks_base = self.endpoint.is_some() && self.state.borrow().base.is_none();
        match known {
            Some(token) if !lacks_base && token.renew_at.is_none_or(|renew_at| !renew_at.is_over()) => {
                Ok(Some(token))
            }
            Some(token) if !lacks_base => Ok(Some(self.fetch().await.unwrap_or_else(|_| self.keep(token)))),
            _ if matches!(self.source, Source::None(_)) => Ok(None),
            _ => self.fetch().await.map(Some),
        }
    }

    /// Keeps a token whose end is near, since no other one is available yet.
    fn keep(&self, mut token: Token) -> Token {
        token.renew_at = Moment::now().after(AFTER_FAILURE);
        self.state.borrow_mut().token = Some(token.clone());
        token
    }

    /// The token that replaces one which the service refused; `None` if there is no source. A refused token
    /// that was fetched after `began` is not replaced.
    pub async fn replace(
        &self,
        refused: &Token,
        status: u16,
        began: Moment,
    ) -> Result<Option<Token>, Failure> {
        let is_old = |token: &Token| token.since.after(OLD).is_some_and(Moment::is_over);
        let is_new = refused.since >= began || (status != 401 && !is_old(refused));
        if is_new || matches!(self.source, Source::None(_)) {
            return Ok(None);
        }
        self.fetch().await.map(Some)
    }

    /// The message about a missing variable, if a refused token has no successor because of that.
    pub fn missing(&self) -> Option<&str> {
        match &self.source {
            Source::None(missing) => missing.as_deref(),
            Source::Keystone(_) | Source::Command(_) => None,
        }
    }

    async fn fetch(&self) -> Result<Token, Failure> {
        if let Some((until, failure)) = &self.state.borrow().refusal
            && !until.is_over()
        {
            return Err(failure.clone());
        }
        let fetched = match &self.source {
            Source::None(_) => Err(Failure::NoToken("there are no credentials".to_owned())),
            Source::Keystone(log_in) => self.log_in(log_in).await,
            Source::Command(command) => printed(command).await,
        };
        let mut state = self.state.borrow_mut();
        match fetched {
            Ok(token) => {
                state.refusal = None;
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(failure) => {
                if !failure.may_pass() {
                    state.refusal = Moment::now().after(AFTER_REFUSAL).map(|until| (until, failure.clone()));
                }
                Err(failure)
            }
        }
    }

    async fn log_in(&self, log_in: &LogIn) -> Result<Token, Failure> {
        let issued = match log_in.log_in().await {
            Ok(issued) => issued,
            Err(NoToken::Refused) => {
                return Err(Failure::NoToken("Keystone refuses the credentials".to_owned()));
            }
            Err(NoToken::Unavailable(cause)) => {
                return Err(Failure::away(format!("Keystone gives no token: {cause}"), false));
            }
        };
        if let Some(endpoint) = &self.endpoint {
            let base = endpoint.find(&issued).map_err(Failure::NoToken)?;
            self.state.borrow_mut().base = Some(base);
        }
        Ok(Token::issued(&issued))
    }
}

/// The token that a command prints.
async fn printed(command: &str) -> Result<Token, Failure> {
    let failed = |how: String| Failure::away(format!("the token command {how}"), false);
    let run = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = run.await.map_err(|error| failed(format!("can't be run: {error}")))?;
    match output.status.code() {
        Some(0) => {}
        // The statuses of a shell that cannot find or run the command.
        Some(126 | 127) => {
            return Err(Failure::NoToken("the token command can't be run".to_owned()));
        }
        _ => return Err(failed(format!("failed with {}", output.status))),
    }
    let text = str::from_utf8(&output.stdout).ok().map(str::trim).filter(|text| text.len() <= LONGEST);
    text.and_then(Token::new).ok_or_else(|| failed("printed a text that is no token".to_owned()))
}

/// The source of a command's tokens, by its options and the environment.
pub fn source(command: Option<&str>, cloud: &Cloud, http: &reqwest::Client) -> Source {
    if let Some(command) = command {
        return Source::Command(command.to_owned());
    }
    match cloud.settings() {
        None => Source::None(None),
        Some(Ok(settings)) => match LogIn::new(&settings, http.clone()) {
            Ok(log_in) => Source::Keystone(Box::new(log_in)),
            Err(unusable) => Source::None(Some(cloud.told(&unusable))),
        },
        Some(Err(missing)) => Source::None(Some(missing)),
    }
}

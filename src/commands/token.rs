//! The token that a command sends, and the source of a new token when the service refuses the present token.

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

/// A token is renewed 60 seconds before it expires. If the whole lifetime of the token is shorter than 240
/// seconds, the token is renewed when a quarter of the lifetime is left.
const MARGIN: Duration = Duration::from_secs(60);
/// The pause after Keystone refused the credentials. Keystone locks a user after several wrong passwords.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// If a new token is not available, the old token is used for this time before the next attempt.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// If an answer has status 403, a token that is older than this age is replaced. The user may have got a new
/// role since the token was issued.
const OLD: Duration = Duration::from_secs(30);
/// The longest accepted token, in bytes. Real tokens are much shorter.
const LONGEST: usize = 16 << 10;

/// The present token of a command, and the source of new tokens.
pub struct Tokens {
    source: Source,
    state: RefCell<State>,
    endpoint: Option<Endpoint>,
}

/// The source of new tokens.
pub enum Source {
    /// There is no source. If the environment variables for a log-in are incomplete, the text names the
    /// missing variable.
    None(Option<String>),
    /// Keystone issues a token for these credentials.
    Keystone(Box<LogIn>),
    /// A shell command prints a token. The text is the command.
    Command(String),
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The service's URL from Keystone's catalog.
    base: Option<Url>,
    /// The last refusal of the credentials, and the moment before which no new token is requested.
    refusal: Option<(Moment, Failure)>,
}

/// A token for the header `X-Auth-Token`.
#[derive(Clone)]
pub struct Token {
    value: HeaderValue,
    since: Moment,
    /// The moment at which a new token is requested, or `None` if the token's expiry is unknown.
    renew_at: Option<Moment>,
}

impl Token {
    /// Returns the value for the header. The value is marked as sensitive, so that it is never printed.
    pub fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    fn new(text: &str) -> Option<Token> {
        let mut value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(Token { value, since: Moment::now(), renew_at: None })
    }

    /// Makes a token from Keystone's answer. The lifetime of the token is measured with this host's clock,
    /// since Keystone's clock may show another time.
    fn issued(issued: &Issued) -> Token {
        let now = Moment::now();
        let by_ours = issued.expires().duration_since(allotment::clock::now()).ok();
        let lasts = issued.lasts().or(by_ours).filter(|lasts| !lasts.is_zero());
        let renew_at = lasts.and_then(|lasts| now.after(lasts - MARGIN.min(lasts / 4)));
        Token { value: issued.token().clone(), since: now, renew_at }
    }
}

impl Tokens {
    /// Makes the tokens of a command. `given` is the first token, and `source` issues later tokens. With an
    /// `endpoint`, the service's URL is taken from Keystone's catalog.
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

    /// Returns the service's URL from Keystone's catalog, or `None` before the first log-in.
    pub fn base(&self) -> Option<Url> {
        self.state.borrow().base.clone()
    }

    /// Returns the token to send, or `None` if there is neither a token nor a source. If the token expires
    /// soon, a new token is requested first.
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

    /// Continues to use a token that expires soon, because no new token is available.
    fn keep(&self, mut token: Token) -> Token {
        token.renew_at = Moment::now().after(AFTER_FAILURE);
        self.state.borrow_mut().token = Some(token.clone());
        token
    }

    /// Returns a new token after the service refused the token `refused`. `began` is the moment at which the
    /// request began. Returns `None` if there is no source of tokens. Also returns `None` if `refused` was
    /// issued after `began`, or if the status is not 401 and `refused` is younger than [`OLD`]: a new token
    /// would then be refused, too.
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

    /// Returns the message about the environment variable whose absence prevents a log-in. Returns `None` if there is
    /// a source, or if no variable asks for a log-in.
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

/// Runs a shell command and returns the token that it prints.
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
        // A shell exits with 126 or 127 if it can't run or can't find the command. A repetition would fail
        // again.
        Some(126 | 127) => {
            return Err(Failure::NoToken("the token command can't be run".to_owned()));
        }
        _ => return Err(failed(format!("failed with {}", output.status))),
    }
    let text = str::from_utf8(&output.stdout).ok().map(str::trim).filter(|text| text.len() <= LONGEST);
    text.and_then(Token::new).ok_or_else(|| failed("printed a text that is no token".to_owned()))
}

/// Returns the source of tokens, chosen by the option `--token-command` and the environment variables.
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

//! A mail server of the tests' own, over TCP: it speaks SMTP, keeps what it took, and can be told to
//! refuse, to be silent, or to die.

use std::sync::{Arc, Mutex};

use rotunda::gateway::mail::Mailer;
use secrecy::SecretString;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What it says to a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// It takes it.
    Takes,
    /// It refuses the recipient in these words.
    Refuses(&'static str),
    /// It takes it, and goes away before it says so.
    TakesInSilence,
    /// It takes it, and never says so.
    TakesAndWaits,
    /// It never says a word.
    Silent,
}

/// A letter as it came.
#[derive(Debug, Clone)]
pub struct Taken {
    pub to: Vec<String>,
    pub data: String,
}

/// The server.
pub struct Postman {
    pub port: u16,
    state: Arc<Mutex<(Manner, Vec<Taken>)>>,
    task: JoinHandle<()>,
}

impl Postman {
    pub async fn open() -> Self {
        Self::on(0).await
    }

    /// On that port, where one was before.
    pub async fn on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new((Manner::Takes, Vec::new())));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Whoever hangs up is gone.
                    let _ = converse(stream, &shared).await;
                });
            }
        });
        Self { port, state, task }
    }

    pub fn mailer(&self) -> Mailer {
        let url = SecretString::from(format!("smtp://127.0.0.1:{}", self.port));
        Mailer::new(&url, "星光商场 <points@starlight.example>").unwrap()
    }

    pub fn behave(&self, manner: Manner) {
        self.state.lock().unwrap().0 = manner;
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().1.clone()
    }

    /// Stops listening; the port.
    pub async fn close(self) -> u16 {
        self.task.abort();
        let _ = self.task.await;
        self.port
    }
}

async fn converse(
    mut stream: TcpStream,
    state: &Mutex<(Manner, Vec<Taken>)>,
) -> std::io::Result<()> {
    let manner = state.lock().unwrap().0.clone();
    if manner == Manner::Silent {
        let mut nothing = [0; 1];
        stream.read_exact(&mut nothing).await?;
        return Ok(());
    }
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 postman.example\r\n").await?;
    let mut to = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line.to_ascii_uppercase();
        let answer = if verb.starts_with("EHLO") {
            "250-postman.example\r\n250 8BITMIME".to_owned()
        } else if verb.starts_with("RCPT") {
            if let Manner::Refuses(words) = manner {
                format!("{words} {line}")
            } else {
                to.push(line);
                "250 ok".to_owned()
            }
        } else if verb == "DATA" {
            writing.write_all(b"354 go on\r\n").await?;
            let mut data = String::new();
            while let Some(line) = lines.next_line().await? {
                if line == "." {
                    break;
                }
                data += line.strip_prefix('.').unwrap_or(&line);
                data.push('\n');
            }
            let to = std::mem::take(&mut to);
            state.lock().unwrap().1.push(Taken { to, data });
            match manner {
                Manner::TakesInSilence => return Ok(()),
                Manner::TakesAndWaits => std::future::pending::<()>().await,
                Manner::Takes | Manner::Refuses(_) | Manner::Silent => {}
            }
            "250 taken".to_owned()
        } else if verb == "QUIT" {
            writing.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "250 ok".to_owned()
        };
        writing
            .write_all(format!("{answer}\r\n").as_bytes())
            .await?;
    }
    Ok(())
}

impl Taken {
    /// The first header of that name, unfolded.
    pub fn header(&self, name: &str) -> String {
        let (head, _) = self.data.split_once("\n\n").unwrap();
        let head = head.replace("\n ", " ").replace("\n\t", " ");
        let mut lines = head.lines();
        let found = lines.find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_default().to_owned()
    }

    /// The text of a letter of one part, decoded.
    pub fn text(&self) -> String {
        let (_, body) = self.data.split_once("\n\n").unwrap();
        let bytes = match self.header("Content-Transfer-Encoding").as_str() {
            "base64" => base64(body),
            "quoted-printable" => quoted(body.trim_end_matches('\n')),
            _ => body.as_bytes().to_vec(),
        };
        String::from_utf8(bytes).unwrap()
    }

    /// The parts of the body: headers and decoded content.
    pub fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let kind = self.header("Content-Type");
        let boundary = kind.split("boundary=\"").nth(1).unwrap();
        let boundary = format!("--{}", boundary.split('"').next().unwrap());
        let parts = self.data.split(&boundary).skip(1);
        parts
            .filter(|part| !part.starts_with("--"))
            .map(|part| {
                let (head, body) = part.trim_start_matches('\n').split_once("\n\n").unwrap();
                let content = if head.contains("base64") {
                    base64(body)
                } else if head.contains("quoted-printable") {
                    quoted(body.trim_end_matches('\n'))
                } else {
                    body.as_bytes().to_vec()
                };
                (head.to_owned(), content)
            })
            .collect()
    }
}

/// A header with words that are not ASCII (RFC 2047), decoded.
pub fn decoded(header: &str) -> String {
    let mut text = Vec::new();
    let mut after_word = false;
    for word in header.split(' ') {
        let inner = word
            .strip_prefix("=?utf-8?b?")
            .and_then(|word| word.strip_suffix("?="));
        // Between two such words the space is none.
        let joined = after_word && inner.is_some();
        if !text.is_empty() && !joined {
            text.push(b' ');
        }
        after_word = inner.is_some();
        if let Some(inner) = inner {
            text.extend(base64(inner));
        } else {
            text.extend(word.as_bytes());
        }
    }
    String::from_utf8(text).unwrap()
}

fn base64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for six in text.bytes().filter_map(value) {
        bits = bits << 6 | six;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

fn quoted(text: &str) -> Vec<u8> {
    let text = text.replace("=\n", "");
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        if *first == b'=' {
            let digits = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

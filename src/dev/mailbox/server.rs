//! The mailbox's end of SMTP: takes mail from anyone, for anyone, and sends nothing on.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{Fault, Mailbox};

/// RFC 5321 asks for 512; extensions add to it.
const MAX_COMMAND_BYTES: usize = 2048;
pub(super) const MAX_MESSAGE_BYTES: usize = 10 * 1024 * 1024;
/// What a client may still send of a message that is too large before it is cut off.
const MAX_DISCARDED_BYTES: usize = 4 * MAX_MESSAGE_BYTES;
const MAX_RECIPIENTS: usize = 100;
/// RFC 5321, 4.5.3.2.7.
const SILENCE: Duration = Duration::from_secs(300);

/// Talks with one client until it leaves or is cut off.
pub(super) async fn serve(stream: TcpStream, mailbox: Mailbox) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let mut session = Session { read: BufReader::new(read), write, mailbox, sender: None, recipients: Vec::new() };
    session.reply("220 mailbox.berth.localhost ESMTP").await?;
    let mut line = Vec::new();
    // Ends when the client says QUIT, hangs up or is silent for too long.
    while let Some(fits) = timeout(SILENCE, read_line(&mut session.read, &mut line, MAX_COMMAND_BYTES)).await?? {
        if !fits {
            session.reply("500 line too long").await?;
            continue;
        }
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !session.obey(&command).await? {
            break;
        }
    }
    Ok(())
}

struct Session {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    mailbox: Mailbox,
    sender: Option<String>,
    recipients: Vec<String>,
}

impl Session {
    /// Answers one command; false when the conversation is over.
    async fn obey(&mut self, command: &str) -> io::Result<bool> {
        let (verb, argument) = command.split_once(' ').unwrap_or((command, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.forget();
                let extensions = format!(
                    "250-mailbox.berth.localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAX_MESSAGE_BYTES}"
                );
                self.reply(&extensions).await?;
            }
            "HELO" => {
                self.forget();
                self.reply("250 mailbox.berth.localhost").await?;
            }
            "MAIL" => self.mail(argument).await?,
            "RCPT" => self.rcpt(argument).await?,
            "DATA" if self.recipients.is_empty() => self.reply("503 name a recipient first").await?,
            "DATA" => return self.data().await,
            "RSET" => {
                self.forget();
                self.reply("250 forgotten").await?;
            }
            "NOOP" => self.reply("250 yes").await?,
            "QUIT" => {
                self.reply("221 goodbye").await?;
                return Ok(false);
            }
            _ => self.reply("502 not known here").await?,
        }
        Ok(true)
    }

    async fn mail(&mut self, argument: &str) -> io::Result<()> {
        let Some(sender) = address(argument, "FROM:") else {
            return self.reply("501 say MAIL FROM:<address>").await;
        };
        self.forget();
        self.sender = Some(sender);
        self.reply("250 go on").await
    }

    async fn rcpt(&mut self, argument: &str) -> io::Result<()> {
        let Some(recipient) = address(argument, "TO:").filter(|address| !address.is_empty()) else {
            return self.reply("501 say RCPT TO:<address>").await;
        };
        if self.sender.is_none() {
            return self.reply("503 name the sender first").await;
        }
        if self.recipients.len() >= MAX_RECIPIENTS {
            return self.reply("452 too many recipients").await;
        }
        match self.mailbox.fault() {
            Fault::Refuse451 => self.reply("451 4.7.1 greylisted, try again later").await,
            Fault::Refuse550 => self.reply("550 5.1.1 no such user").await,
            Fault::None | Fault::HangAfterData | Fault::DropAfterAccept => {
                self.recipients.push(recipient);
                self.reply("250 known").await
            }
        }
    }

    /// Takes the message; false when a fault ends the connection.
    async fn data(&mut self) -> io::Result<bool> {
        self.reply("354 end with a dot on a line of its own").await?;
        let Some(message) = timeout(SILENCE, read_message(&mut self.read)).await?? else {
            self.forget();
            self.reply("552 too large").await?;
            return Ok(true);
        };
        let fault = self.mailbox.fault();
        if fault == Fault::HangAfterData {
            // Nothing more is said, and nothing kept, until the client hangs up.
            let mut ignored = [0];
            while self.read.read(&mut ignored).await? > 0 {}
            return Ok(false);
        }
        let sender = self.sender.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        let do_answer = fault != Fault::DropAfterAccept;
        match self.mailbox.accept(&sender, recipients, &message, do_answer).await {
            Ok(_) if !do_answer => return Ok(false),
            Ok(id) => self.reply(&format!("250 kept as {id}")).await?,
            Err(error) => {
                tracing::warn!(%error, "the mailbox cannot keep a mail");
                self.reply("451 cannot be kept now").await?;
            }
        }
        Ok(true)
    }

    fn forget(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    async fn reply(&mut self, line: &str) -> io::Result<()> {
        self.write.write_all(format!("{line}\r\n").as_bytes()).await
    }
}

/// The address of `FROM:<a@b> PARAMETERS`.
fn address(argument: &str, keyword: &str) -> Option<String> {
    let (found, rest) = argument.split_at_checked(keyword.len())?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    found.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}

/// Reads up to a line feed and keeps at most `max` bytes: `Some(false)` when there were more, `None` at the end.
async fn read_line(read: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>, max: usize) -> io::Result<Option<bool>> {
    line.clear();
    let mut length: usize = 0;
    // Ends with the line or at MAX_DISCARDED_BYTES.
    loop {
        let chunk = read.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        length += taken.len();
        let room = max.saturating_sub(line.len());
        line.extend(taken.iter().take(room));
        let taken = taken.len();
        read.consume(taken);
        if end.is_some() {
            return Ok(Some(length <= max));
        }
        if length > MAX_DISCARDED_BYTES {
            return Err(io::Error::other("a line without end"));
        }
    }
}

/// Reads a message up to its final dot, dots unstuffed; `None` when it is too large.
async fn read_message(read: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut line = Vec::new();
    let mut total: usize = 0;
    // Ends at the dot or at MAX_DISCARDED_BYTES.
    while let Some(fits) = read_line(read, &mut line, MAX_MESSAGE_BYTES).await? {
        if line == b".\r\n" {
            return Ok((total <= MAX_MESSAGE_BYTES).then_some(message));
        }
        let unstuffed = line.strip_prefix(b".").unwrap_or(&line);
        total += unstuffed.len() + if fits { 0 } else { MAX_MESSAGE_BYTES };
        if total <= MAX_MESSAGE_BYTES {
            message.extend_from_slice(unstuffed);
        }
        if total > MAX_DISCARDED_BYTES {
            break;
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the message did not end"))
}

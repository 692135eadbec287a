//! One question and its answer, over a connection of its own.
//!
//! Connections are short: a group of any size keeps none open. Must not know the rules of the detector.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::frame;
use super::message::{
    Answer, Greeting, Question, decode_answer, decode_question, encode_answer, encode_question,
};

/// How long whoever connects may take to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question of a peer, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub greeting: Greeting,
    /// What.
    pub question: Question,
    /// Dropped when there is no answer.
    pub reply: oneshot::Sender<(Greeting, Answer)>,
}

/// Asks a peer.
pub async fn ask(
    address: SocketAddr,
    greeting: &Greeting,
    question: &Question,
    limit: Duration,
) -> io::Result<(Greeting, Answer)> {
    let message = encode_question(greeting, question);
    send(address, &message, limit).await
}

/// Asks with a message that is encoded already.
pub async fn send(
    address: SocketAddr,
    message: &[u8],
    limit: Duration,
) -> io::Result<(Greeting, Answer)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        frame::write(&mut stream, message).await?;
        let answer = frame::read(&mut stream).await?;
        decode_answer(&answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    timeout(limit, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Serves one connection: hands its question on and sends the answer back.
pub async fn serve(mut stream: TcpStream, asked: mpsc::Sender<Asked>, answer_limit: Duration) {
    let exchange = async {
        let bytes = timeout(PATIENCE, frame::read(&mut stream)).await??;
        let (greeting, question) = decode_question(&bytes)?;
        let (reply, answer) = oneshot::channel();
        // The node ends with the engine, and then nobody answers.
        if asked.send(Asked { greeting, question, reply }).await.is_err() {
            return Ok(());
        }
        let Ok((greeting, answer)) = timeout(answer_limit, answer).await? else { return Ok(()) };
        let bytes = encode_answer(&greeting, &answer);
        timeout(PATIENCE, frame::write(&mut stream, &bytes)).await??;
        Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    };
    if let Err(error) = exchange.await {
        tracing::debug!(%error, "a connection to the fabric address came to nothing");
    }
}

//! HTTP byte by byte, for requests that no client would send.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Stack;

impl Stack {
    /// Sends these bytes as they are; answers the status.
    pub(crate) async fn raw(&self, request: Vec<u8>) -> u16 {
        let (mut read, mut write) = TcpStream::connect(self.address).await.unwrap().into_split();
        let sending = tokio::spawn(async move {
            // The server may answer, and close, before it has read everything.
            let _ = write.write_all(&request).await;
            write
        });
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        while !answer.windows(2).any(|pair| pair == b"\r\n") {
            let count = read.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the server hung up without an answer: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
        }
        drop(sending.await.unwrap());
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
    }
}

//! A zip archive that is written to nowhere in particular: its bytes are taken away as they come.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use kernel::{Error, Result, Timestamp};
use serde_json::Value;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub struct Archive {
    zip: ZipWriter<StreamWriter<Sink>>,
    sink: Sink,
    options: SimpleFileOptions,
}

impl Archive {
    pub fn new(made_at: Timestamp) -> Self {
        let sink = Sink::default();
        let mut options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            // Sizes are not known before a file is whole, and may pass four gigabytes.
            .large_file(true);
        let local = TimeZone::UTC.to_datetime(made_at.to_jiff());
        let part = |value: i8| u8::try_from(value).unwrap_or(0);
        let year = u16::try_from(local.year()).unwrap_or(1980);
        let made = DateTime::from_date_and_time(
            year,
            part(local.month()),
            part(local.day()),
            part(local.hour()),
            part(local.minute()),
            part(local.second()),
        );
        if let Ok(made) = made {
            options = options.last_modified_time(made);
        }
        Self {
            zip: ZipWriter::new_stream(sink.clone()),
            sink,
            options,
        }
    }

    /// Begins a file, and with it ends the one before.
    pub fn open(&mut self, name: &str) -> Result<()> {
        self.zip.start_file(name, self.options).map_err(Error::internal)
    }

    pub fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.open(name)?;
        self.zip.write_all(content).map_err(Error::internal)
    }

    /// One object for each line.
    pub fn lines(&mut self, items: &[Value]) -> Result<()> {
        for item in items {
            serde_json::to_writer(&mut self.zip, item).map_err(Error::internal)?;
            self.zip.write_all(b"\n").map_err(Error::internal)?;
        }
        Ok(())
    }

    /// What has been written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sink.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rest.
    pub fn finish(self) -> Result<Vec<u8>> {
        let Self { zip, sink, .. } = self;
        zip.finish().map_err(Error::internal)?;
        let mut rest = sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_archive_taken_in_pieces_is_whole() {
        let mut archive = Archive::new(Timestamp::from_seconds(1_795_262_400));
        archive.file("manifest.json", b"{}").unwrap();
        let mut bytes = archive.take();
        archive.open("a/b.jsonl").unwrap();
        for n in 0..100 {
            archive.lines(&[json!({ "n": n })]).unwrap();
            bytes.extend(archive.take());
        }
        bytes.extend(archive.finish().unwrap());
        let mut read = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let names: Vec<String> = read.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["manifest.json", "a/b.jsonl"]);
        let text = io::read_to_string(read.by_name("a/b.jsonl").unwrap()).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert_eq!(text.lines().last(), Some("{\"n\":99}"));
    }
}

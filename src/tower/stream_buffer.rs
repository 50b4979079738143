//! The part of a body that its readers have not all read, and where each of them is in it.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hasher},
    mem,
};

use bytes::Bytes;

/// What a chunk costs beside its bytes. Without it, a body in chunks of one byte would take many times the cap.
const PER_CHUNK: usize = 64;

/// How far the body is read ahead of the fastest reader, at most.
const AHEAD: usize = 64 * 1024;

pub(super) struct Buffer {
    chunks: VecDeque<Chunk>,
    /// The number of the first of them. Chunks are numbered from 0.
    first: u64,
    /// Of all chunks in here, their own cost included.
    size: usize,
    max_size: usize,
    /// The next chunk of the fastest reader, and the size of those from there on.
    fastest: u64,
    ahead: usize,
    /// Of the body so far: tells whether a reader that goes on by itself gets the same one.
    digest: DefaultHasher,
    /// Those that have a place, and those that are still to come.
    readers: usize,
    to_come: usize,
    /// Taken out, and to be dropped outside of the lock, as that may run user code.
    pub(super) old: Vec<Bytes>,
}

struct Chunk {
    data: Bytes,
    /// Of the body up to its end.
    digest: u64,
    /// How many readers have it before them.
    unread: usize,
}

impl Chunk {
    fn size(&self) -> usize {
        self.data.len() + PER_CHUNK
    }
}

/// A reader's place in the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// `None` when it has lost its place, or given it up.
    chunk: Option<u64>,
    /// How much it has read, and the digest of that.
    pub(super) bytes: u64,
    pub(super) digest: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    Data(Bytes),
    /// There is no more so far.
    Nothing,
    /// What the reader needs next is not in here any more.
    Lost,
}

/// Whether more of the body may be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// No reader needs more yet.
    Ahead,
    /// Slow readers have to read, or to lose their place.
    Full,
}

impl Buffer {
    pub(super) fn new(max_size: usize, to_come: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            first: 0,
            size: 0,
            max_size,
            fastest: 0,
            ahead: 0,
            digest: DefaultHasher::new(),
            readers: to_come,
            to_come,
            old: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, data: Bytes) {
        self.digest.write(&data);
        let chunk = Chunk { data, digest: self.digest.finish(), unread: self.readers };
        self.size += chunk.size();
        self.ahead += chunk.size();
        self.chunks.push_back(chunk);
    }

    /// A reader's place at the beginning, whether that is still in here or not.
    pub(super) fn join(&mut self) -> Position {
        if self.to_come > 0 {
            self.to_come -= 1;
        } else {
            self.readers += 1;
            self.chunks.iter_mut().for_each(|chunk| chunk.unread += 1);
        }
        Position { chunk: Some(0), bytes: 0, digest: DefaultHasher::new().finish() }
    }

    pub(super) fn read(&mut self, position: &mut Position) -> Read {
        let index = position.chunk.and_then(|number| number.checked_sub(self.first));
        let Some((number, index)) = position.chunk.zip(index) else {
            self.leave(position);
            return Read::Lost;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(chunk) = self.chunks.get_mut(index) else { return Read::Nothing };
        let (data, size) = (chunk.data.clone(), chunk.size());
        chunk.unread -= 1;
        *position =
            Position { chunk: Some(number + 1), bytes: position.bytes + data.len() as u64, digest: chunk.digest };
        if number >= self.fastest {
            self.fastest = number + 1;
            self.ahead -= size;
        }
        self.drop_read();
        Read::Data(data)
    }

    /// A reader gives up its place.
    pub(super) fn leave(&mut self, position: &mut Position) {
        let Some(number) = position.chunk.take() else { return };
        self.readers -= 1;
        let before = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.chunks.iter_mut().skip(before).for_each(|chunk| chunk.unread -= 1);
        self.step_back();
        self.drop_read();
    }

    /// If the fastest reader has left, another is it.
    fn step_back(&mut self) {
        while let Some(before) = self.fastest.checked_sub(self.first + 1) {
            let Some(chunk) = usize::try_from(before).ok().and_then(|index| self.chunks.get(index)) else { return };
            if chunk.unread < self.readers {
                return;
            }
            self.fastest -= 1;
            self.ahead += chunk.size();
        }
    }

    pub(super) fn room(&self) -> Room {
        if self.ahead > 0 && self.ahead >= AHEAD.min(self.max_size / 2) {
            Room::Ahead
        } else if self.size > 0 && self.size >= self.max_size && self.first < self.fastest {
            Room::Full
        } else {
            Room::Free
        }
    }

    /// Makes room: those that are slowest lose their places.
    pub(super) fn lose_slow(&mut self) {
        // Those that have not come by now may never come.
        let late = mem::take(&mut self.to_come);
        self.readers -= late;
        self.chunks.iter_mut().for_each(|chunk| chunk.unread -= late);
        self.drop_read();
        // Half of it at once, so that the next in line isn't lost for the very next chunk.
        while self.size > self.max_size / 2 && self.first < self.fastest {
            self.drop_first();
        }
    }

    fn drop_read(&mut self) {
        while self.chunks.front().is_some_and(|chunk| chunk.unread == 0) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let Some(chunk) = self.chunks.pop_front() else { return };
        self.size -= chunk.size();
        if self.first >= self.fastest {
            // All that had it before them have left.
            self.ahead -= chunk.size();
            self.fastest = self.first + 1;
        }
        self.first += 1;
        self.old.push(chunk.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its own cost, a tenth of the buffer.
    const CHUNK: usize = 1_000 - PER_CHUNK;

    fn buffer(to_come: usize, chunks: u8) -> Buffer {
        let mut buffer = Buffer::new(10_000, to_come);
        (0..chunks).for_each(|number| buffer.push(chunk(number)));
        buffer
    }

    fn chunk(number: u8) -> Bytes {
        vec![number; CHUNK].into()
    }

    fn read_all(buffer: &mut Buffer, position: &mut Position, chunks: std::ops::Range<u8>) {
        for number in chunks {
            assert_eq!(buffer.read(position), Read::Data(chunk(number)));
        }
    }

    #[test]
    fn what_all_have_read_is_gone() {
        let mut buffer = buffer(2, 5);
        let (mut fast, mut slow) = (buffer.join(), buffer.join());
        read_all(&mut buffer, &mut fast, 0..5);
        assert_eq!((buffer.size, buffer.old.len()), (5_000, 0));
        read_all(&mut buffer, &mut slow, 0..3);
        assert_eq!((buffer.size, buffer.old.len()), (2_000, 3));
        buffer.leave(&mut slow);
        assert_eq!((buffer.size, buffer.room()), (0, Room::Free));
        assert_eq!(buffer.read(&mut fast), Read::Nothing);
    }

    #[test]
    fn the_body_is_read_at_the_pace_of_the_fastest() {
        let mut buffer = buffer(2, 5);
        let mut reader = buffer.join();
        assert_eq!(buffer.room(), Room::Ahead, "half of the buffer");
        read_all(&mut buffer, &mut reader, 0..1);
        assert_eq!(buffer.room(), Room::Free);
        for number in 5..10 {
            buffer.push(chunk(number));
        }
        read_all(&mut buffer, &mut reader, 1..10);
        assert_eq!(buffer.room(), Room::Full, "one is still to come");
    }

    #[test]
    fn the_slowest_lose_their_places() {
        let mut buffer = buffer(3, 10);
        let [mut fast, mut middle, mut slow] = [(); 3].map(|()| buffer.join());
        read_all(&mut buffer, &mut fast, 0..10);
        read_all(&mut buffer, &mut middle, 0..6);
        read_all(&mut buffer, &mut slow, 0..2);
        assert_eq!(buffer.room(), Room::Free, "all have read two of them");
        (10..12).for_each(|number| buffer.push(chunk(number)));
        read_all(&mut buffer, &mut fast, 10..12);
        assert_eq!(buffer.room(), Room::Full);
        buffer.lose_slow();
        assert_eq!(buffer.room(), Room::Free);
        assert_eq!(buffer.read(&mut slow), Read::Lost);
        assert_eq!(buffer.read(&mut slow), Read::Lost, "for good");
        assert_eq!(buffer.read(&mut middle), Read::Lost, "it was in the older half");
        assert_eq!((buffer.size, buffer.readers), (0, 1), "only the fastest is left, and has read all");
    }

    #[test]
    fn those_that_come_late_start_at_the_beginning_or_are_lost() {
        let mut buffer = buffer(1, 3);
        let mut leader = buffer.join();
        let mut another = buffer.join();
        read_all(&mut buffer, &mut leader, 0..3);
        read_all(&mut buffer, &mut another, 0..3);
        let mut late = buffer.join();
        assert_eq!(buffer.read(&mut late), Read::Lost);
        buffer.push(chunk(3));
        read_all(&mut buffer, &mut leader, 3..4);
        read_all(&mut buffer, &mut another, 3..4);
        assert_eq!((buffer.size, buffer.ahead), (0, 0));
    }

    #[test]
    fn a_chunk_larger_than_the_buffer_comes_through() {
        let mut buffer = Buffer::new(0, 1);
        let mut reader = buffer.join();
        for _ in 0..3 {
            assert_eq!(buffer.room(), Room::Free);
            buffer.push(chunk(7));
            assert_eq!(buffer.room(), Room::Ahead);
            read_all(&mut buffer, &mut reader, 7..8);
        }
    }

    #[test]
    fn readers_that_leave_first_hold_nothing_up() {
        let mut buffer = buffer(2, 5);
        let (mut leader, mut follower) = (buffer.join(), buffer.join());
        buffer.leave(&mut leader);
        buffer.leave(&mut leader);
        buffer.leave(&mut follower);
        assert_eq!((buffer.size, buffer.ahead, buffer.room()), (0, 0, Room::Free));
    }

    #[test]
    fn where_the_fastest_leaves_the_next_sets_the_pace() {
        let mut buffer = buffer(2, 9);
        let (mut fast, mut slow) = (buffer.join(), buffer.join());
        read_all(&mut buffer, &mut fast, 0..9);
        read_all(&mut buffer, &mut slow, 0..1);
        assert_eq!(buffer.room(), Room::Free);
        buffer.leave(&mut fast);
        assert_eq!((buffer.room(), buffer.ahead), (Room::Ahead, 8_000));
        read_all(&mut buffer, &mut slow, 1..9);
        assert_eq!((buffer.room(), buffer.ahead), (Room::Free, 0));
    }

    #[test]
    fn those_that_never_come_hold_nothing_up_for_long() {
        let mut buffer = buffer(3, 10);
        let mut leader = buffer.join();
        read_all(&mut buffer, &mut leader, 0..10);
        assert_eq!(buffer.room(), Room::Full);
        buffer.lose_slow();
        assert_eq!((buffer.size, buffer.room()), (0, Room::Free));
        let mut late = buffer.join();
        assert_eq!(buffer.read(&mut late), Read::Lost);
        buffer.push(chunk(10));
        read_all(&mut buffer, &mut leader, 10..11);
        assert_eq!(buffer.size, 0);
    }

    #[test]
    fn a_digest_is_that_of_the_bytes_however_they_are_cut() {
        let mut buffer = buffer(1, 4);
        let mut reader = buffer.join();
        read_all(&mut buffer, &mut reader, 0..4);
        let mut whole = DefaultHasher::new();
        whole.write(&(0..4).flat_map(chunk).collect::<Bytes>());
        assert_eq!(reader.digest, whole.finish());
    }
}

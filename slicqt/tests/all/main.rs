//! All tests of the public interface but the gate by instruction count, in one program: one link, and one allocator
//! that counts.

mod exactness;
mod golden;
mod oracle;
mod published_lens;
mod scales;
mod streaming;
mod support;

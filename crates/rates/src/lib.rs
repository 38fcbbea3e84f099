//! Live rates: a checkout asks what it costs to send something, several carriers are asked at once, and the answer comes within
//! the deadline, whatever they do. What a carrier said lately stands in for one that is late; a table of the shop's own stands in
//! for all of them. The checkout is never slower than the deadline and never empty.

mod answers;
mod desk;
mod fallback;
mod serve;

pub use desk::{Carrier, Desk};
pub use fallback::Fallback;
pub use serve::{Ask, FindDesk, routes};

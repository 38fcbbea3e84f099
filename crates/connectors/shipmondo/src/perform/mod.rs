//! What Shipmondo can be asked to do: book a shipment, and take a booking back.

mod book;
mod cancel;

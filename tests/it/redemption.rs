//! Points that pay: the terms, the till, and goods for points.

mod bazaar;
mod goods;
mod terms;
mod till;

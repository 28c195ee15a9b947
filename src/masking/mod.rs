//! placeholder
/// x
#[derive(Default)]
pub struct Masker;
impl Masker {
    /// x
    pub fn feed(&mut self, d: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(d);
    }
    /// x
    pub fn finish(&mut self, _: &mut Vec<u8>) {}
    /// x
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

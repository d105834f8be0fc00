//! Removal of the client's mask, in place.

/// Unmasks `data`, whose first byte is byte number `phase` of its frame's payload.
///
/// Eight bytes at a time; the compiler widens the loop to vector registers.
///
/// # Source
/// RFC 6455 5.3
pub(crate) fn unmask(data: &mut [u8], mask: [u8; 4], phase: usize) {
    let turned = u32::from_le_bytes(mask).rotate_right(8 * (phase % 4) as u32);
    let key = turned.to_le_bytes();
    let half = u64::from(u32::from_ne_bytes(key));
    let wide = half | half << 32;
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (index, byte) in rest.iter_mut().enumerate() {
        *byte ^= key[index % 4];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slowly(data: &[u8], mask: [u8; 4], phase: usize) -> Vec<u8> {
        data.iter().enumerate().map(|(i, byte)| byte ^ mask[(i + phase) % 4]).collect()
    }

    #[test]
    fn every_length_and_phase_equals_the_definition() {
        let mask = [0x11, 0x22, 0x44, 0x88];
        for length in 0..70 {
            let data: Vec<u8> = (0..length).map(|i| i as u8).collect();
            for phase in 0..9 {
                let mut fast = data.clone();
                unmask(&mut fast, mask, phase);
                assert_eq!(fast, slowly(&data, mask, phase), "length {length}, phase {phase}");
            }
        }
    }
}

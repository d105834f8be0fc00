//! A small authority and the certificates it vouches for.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority vouches.
const AUTHORITY_DAYS: u32 = 3650;

/// How long a certificate is valid: what Apple's systems take at most, from authorities that users
/// have added.
pub(super) const SERVER_DAYS: u32 = 820;

/// Networks that are nobody's in the internet (RFC 1918, 3927, 4193, 4291).
const PRIVATE: &[([u8; 4], u8)] =
    &[([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16), ([169, 254, 0, 0], 16)];

/// Names that are nobody's in the internet (RFC 6762, 8375; `internal` by ICANN).
const INTERNAL: &[&str] = &["localhost", "local", "lan", "internal", "home.arpa"];

/// A certificate and its key, both as PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Makes an authority that can vouch for these names and for those of intranets, and for nothing
/// else: whoever gets hold of its key cannot pose as a site of the internet.
pub(super) fn authority(names: &[String]) -> Result<Made, rcgen::Error> {
    let mut params = CertificateParams::default();
    validity(&mut params, AUTHORITY_DAYS);
    params.distinguished_name.push(DnType::CommonName, "Landline intranet authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let constraints =
        NameConstraints { permitted_subtrees: permitted(names), excluded_subtrees: vec![] };
    params.name_constraints = Some(constraints);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Made { certificate, key: key.serialize_pem() })
}

/// Makes a certificate for these names, which the authority vouches for.
pub(super) fn server(names: &[String], by: &Made) -> Result<Made, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&by.certificate, KeyPair::from_pem(&by.key)?)?;
    let mut params = CertificateParams::new(names)?;
    validity(&mut params, SERVER_DAYS);
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Made { certificate, key: key.serialize_pem() })
}

/// From yesterday on, because clocks differ.
fn validity(params: &mut CertificateParams, days: u32) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let midnight = since.as_secs() / DAY.as_secs() * DAY.as_secs();
    let today = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(midnight);
    params.not_before = today - DAY;
    params.not_after = today + DAY * days;
}

fn permitted(names: &[String]) -> Vec<GeneralSubtree> {
    let internal = INTERNAL.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    let own = names.iter().map(|name| match name.parse::<IpAddr>() {
        Ok(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
        }
        Err(_) => GeneralSubtree::DnsName(name.trim_start_matches("*.").to_owned()),
    });
    let v4 = PRIVATE.iter().map(|(network, bits)| CidrSubnet::from_v4_prefix(*network, *bits));
    let unique_local =
        CidrSubnet::from_v6_prefix([0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 7);
    let networks = v4.chain([unique_local]).map(GeneralSubtree::IpAddress);
    internal.chain(own).chain(networks).collect()
}

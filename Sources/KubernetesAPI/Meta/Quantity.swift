/// An amount of a resource: `250m`, `1.5`, `64Mi`, `1e3` (apimachinery resource.Quantity).
///
/// It keeps the text it was read from, so that an object is written as it came, and the exact value in thousandths.
public struct Quantity: Sendable {
  /// The text as given.
  public let text: String
  /// The value times 1000, rounded up to a whole number; saturates at the limits of Int64.
  public let milliValue: Int64

  /// The value rounded up to a whole number: bytes, cores, pieces.
  public var value: Int64 {
    milliValue >= 0 ? milliValue / 1000 + (milliValue % 1000 == 0 ? 0 : 1) : milliValue / 1000
  }

  public init(milliValue: Int64) {
    self.milliValue = milliValue
    self.text = milliValue % 1000 == 0 ? String(milliValue / 1000) : "\(milliValue)m"
  }

  public init(value: Int64) {
    let (product, overflow) = value.multipliedReportingOverflow(by: 1000)
    self.milliValue = overflow ? (value < 0 ? .min : .max) : product
    self.text = String(value)
  }

  /// Parses a quantity; nil if the text is none.
  public init?(_ text: String) {
    var rest = Substring(text)
    var negative = false
    if let sign = rest.first, sign == "+" || sign == "-" {
      negative = sign == "-"
      rest = rest.dropFirst()
    }
    let whole = rest.prefix(while: \.isASCIIDigit)
    rest = rest.dropFirst(whole.count)
    var fraction: Substring = ""
    if rest.first == "." {
      rest = rest.dropFirst()
      fraction = rest.prefix(while: \.isASCIIDigit)
      rest = rest.dropFirst(fraction.count)
    }
    guard !(whole.isEmpty && fraction.isEmpty), let scale = Self.scale(ofSuffix: rest) else { return nil }
    // mantissa × 10^-fractionDigits × scale × 1000, in floating point only when it can't be exact in 128 bits.
    var mantissa: Int128 = 0
    for digit in whole + fraction {
      let (product, overflow) = mantissa.multipliedReportingOverflow(by: 10)
      guard !overflow, let number = digit.wholeNumberValue else { return nil }
      mantissa = product + Int128(number)
    }
    var numerator = mantissa
    for factor in [Int128(scale.multiplier), 1000] {
      let (product, overflow) = numerator.multipliedReportingOverflow(by: factor)
      guard !overflow else { return nil }
      numerator = product
    }
    var exponent = scale.decimalExponent - fraction.count
    while exponent > 0 {
      let (product, overflow) = numerator.multipliedReportingOverflow(by: 10)
      numerator = overflow ? Int128.max / 10 : product
      exponent -= 1
    }
    var remainder = false
    while exponent < 0 {
      if numerator % 10 != 0 { remainder = true }
      numerator /= 10
      exponent += 1
    }
    if remainder { numerator += 1 }
    let limited = Int64(clamping: numerator)
    self.milliValue = negative ? -limited : limited
    self.text = text
  }

  private static func scale(ofSuffix suffix: Substring) -> (multiplier: Int64, decimalExponent: Int)? {
    switch suffix {
    case "": return (1, 0)
    case "n": return (1, -9)
    case "u": return (1, -6)
    case "m": return (1, -3)
    case "k": return (1, 3)
    case "M": return (1, 6)
    case "G": return (1, 9)
    case "T": return (1, 12)
    case "P": return (1, 15)
    case "E": return (1, 18)
    case "Ki": return (1 << 10, 0)
    case "Mi": return (1 << 20, 0)
    case "Gi": return (1 << 30, 0)
    case "Ti": return (1 << 40, 0)
    case "Pi": return (1 << 50, 0)
    case "Ei": return (1 << 60, 0)
    default:
      guard suffix.first == "e" || suffix.first == "E", let exponent = Int(suffix.dropFirst()), abs(exponent) <= 18 else { return nil }
      return (1, exponent)
    }
  }
}

extension Character {
  fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}

extension Quantity: Hashable {
  public static func == (a: Quantity, b: Quantity) -> Bool { a.milliValue == b.milliValue }
  public func hash(into hasher: inout Hasher) { hasher.combine(milliValue) }
}

extension Quantity: Comparable {
  public static func < (a: Quantity, b: Quantity) -> Bool { a.milliValue < b.milliValue }
}

extension Quantity: CustomStringConvertible {
  public var description: String { text }
}

extension Quantity: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Int64.self) {
      self.init(value: number)
      return
    }
    let text: String
    if let number = try? container.decode(Double.self) { text = "\(number)" } else { text = try container.decode(String.self) }
    guard let quantity = Quantity(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is no quantity, e.g. 250m, 1.5, 64Mi"))
    }
    self = quantity
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}

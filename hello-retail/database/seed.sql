-- Card numbers are the payment networks' published test numbers.
USE helloRetail;

INSERT INTO productCategory VALUES ('shoes'), ('shirts'), ('bags');

INSERT INTO productCatalog VALUES
  ('1001', 'POLO', 'Leather loafers', 'Brown, hand-sewn', 'shoes'),
  ('1002', 'Northway', 'Running shoes', 'Light, blue', 'shoes'),
  ('1003', 'Northway', 'Linen shirt', 'White, long sleeves', 'shirts'),
  ('1004', 'Ostra', 'Oxford shirt', 'Striped', 'shirts'),
  ('1005', 'Ostra', 'Weekend bag', 'Canvas, 40 litres', 'bags');

INSERT INTO productPrice VALUES ('1001', 129.95), ('1002', 89.00), ('1003', 54.50), ('1004', 47.25), ('1005', 112.00);

INSERT INTO creditCards VALUES
  ('alice', '4111111111111111'),
  ('bob', '5555555555554444'),
  ('carol', '378282246310005'),
  ('dave', '6011111111111117'),
  ('erin', '4012888888881881'),
  ('frank', '5105105105105100'),
  ('grace', '371449635398431'),
  ('heidi', '6011000990139424');

INSERT INTO photoRegistrationTable (id, email) VALUES
  ('ines', 'ines@photographers.example'),
  ('juri', 'juri@photographers.example'),
  ('kim', 'kim@photographers.example');

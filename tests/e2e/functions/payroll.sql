CREATE DATABASE payroll;
USE payroll;
CREATE TABLE salaries (person VARCHAR(40) PRIMARY KEY, amount INT NOT NULL);
INSERT INTO salaries VALUES ('alice', 4000), ('bob', 5000), ('carol', 6000);
CREATE USER 'clerk'@'%' IDENTIFIED BY 'only-for-tests';
GRANT SELECT ON payroll.* TO 'clerk'@'%';
